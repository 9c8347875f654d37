// What the server's queue says of a run, as keys of the catalogues: its texts are English.
import type { Key } from '../i18n/en.ts';
import type { Reason } from './types.ts';

export interface Said {
  key: Key;
  args: Record<string, string | number>;
  /** What the worker wrote last. */
  rest?: string;
}

const reasons: [RegExp, (m: RegExpExecArray) => Said][] = [
  [/^attempt (\d+): the worker died: (.+)$/s, (m) => ({ key: 'job.died', args: { attempt: Number(m[1]), cause: m[2]! } })],
  [
    /^the worker died (\d+) times in a row in the same way, without getting further: the worker died: (.+?)(?:; its last words: (.*))?$/s,
    (m) => ({ key: 'job.diedTooOften', args: { times: Number(m[1]), cause: m[2]! }, ...(m[3] ? { rest: m[3] } : {}) }),
  ],
  [/^the server stopped; it goes on when the server starts$/, () => ({ key: 'job.serverStopped', args: {} })],
  [/^the server ended while it ran$/, () => ({ key: 'job.serverEnded', args: {} })],
  [/^cancelled; it goes on from its newest checkpoint when resumed$/, () => ({ key: 'job.cancelled', args: {} })],
  [
    /^attempt (\d+): worker (\S+) was not heard of for (\S+)$/,
    (m) => ({ key: 'job.lost', args: { attempt: Number(m[1]), worker: m[2]!, time: m[3]! } }),
  ],
  [/^attempt (\d+): worker (\S+) runs it no longer: .*$/, (m) => ({ key: 'job.gone', args: { attempt: Number(m[1]), worker: m[2]! } })],
  [/^worker (\S+) was stopped$/, (m) => ({ key: 'job.left', args: { worker: m[1]! } })],
  [/^cancelled while it waited$/, () => ({ key: 'job.cancelledWaiting', args: {} })],
  [/^the worker ended without recording an end$/, () => ({ key: 'job.noEnd', args: {} })],
];

/** A reason or an end that the queue wrote; undefined for any other text, which is shown as it is. */
export function reasonOf(text: string): Said | undefined {
  for (const [re, say] of reasons) {
    const m = re.exec(text);
    if (m) return say(m);
  }
  return undefined;
}

const causes: [RegExp, Key][] = [
  [/^out of memory$/, 'cause.memory'],
  [/^interrupted by a signal$/, 'cause.signal'],
  [/^it left without saying how its job ended$/, 'cause.silent'],
  [/^killed by signal 9 \(killed\), which is what a system does that has no memory left$/, 'cause.killed'],
];

/** Why a worker died; undefined for what has no words of ours, a panic for one. */
export function causeOf(text: string): Key | undefined {
  return causes.find(([re]) => re.test(text))?.[1];
}

type Having = 'nothing' | 'gpu' | 'gpuOf' | 'memory' | 'both';

/** What a worker must have. */
function having({ gpu, memory }: Record<string, string>): Having {
  if (memory !== undefined) return gpu === undefined || gpu === '0' ? 'memory' : 'both';
  if (gpu === undefined) return 'nothing';
  return gpu === '0' ? 'gpu' : 'gpuOf';
}

const none: Record<Having, Key> = {
  nothing: 'waits.worker', gpu: 'waits.workerGpu', gpuOf: 'waits.workerGpuOf', memory: 'waits.workerMemory', both: 'waits.workerBoth',
};
const busy: Record<Having, Key> = {
  nothing: 'waits.slot', gpu: 'waits.slotGpu', gpuOf: 'waits.slotGpuOf', memory: 'waits.slotMemory', both: 'waits.slotBoth',
};

/** What a job waits for; undefined for a code that this page does not know. */
export function waitsFor({ code, args = {} }: Reason): Said | undefined {
  switch (code) {
    case 'device':
      return args.device === 'cpu' ? { key: 'waits.processor', args } : { key: 'waits.device', args };
    case 'behind':
      return { key: 'waits.behind', args: { count: Number(args.count) } };
    case 'behind_higher':
      return { key: 'waits.behindHigher', args: { count: Number(args.count) } };
    case 'memory':
      return { key: 'waits.memory', args };
    case 'worker':
      return { key: having(args) === 'gpuOf' && args.gpu_have ? 'waits.workerGpuMost' : none[having(args)], args };
    case 'worker_slot':
      return { key: busy[having(args)], args };
    case 'start':
      return { key: 'waits.start', args: {} };
  }
  return undefined;
}
