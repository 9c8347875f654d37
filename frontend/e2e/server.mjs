// Starts the real binary on a fresh data folder and talks to its API.
import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export const binary = process.env.TRIALITY ?? fileURLToPath(new URL('../../bin/triality', import.meta.url));

/** Starts `triality serve`; port 0 lets it choose one. books: texts of notebooks by name, in a folder that it serves; configs:
 *  those of configurations that it offers. Either may be a function of the data folder. */
export async function startServer({ data, port = 0, books, configs } = {}) {
  const dir = data ?? (await mkdtemp(join(tmpdir(), 'triality-e2e-')));
  async function folder(name, texts) {
    const at = join(dir, name);
    await mkdir(at, { recursive: true });
    for (const [file, text] of Object.entries(typeof texts === 'function' ? texts(dir) : texts)) await writeFile(join(at, file), text);
    return at;
  }
  const args = ['serve', '--data', dir, '--addr', `127.0.0.1:${port}`];
  if (configs) args.push('--configs', await folder('configs', configs));
  if (books) args.push(await folder('books', books));
  const child = spawn(binary, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const said = [];
  const url = await new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no "listening on" within 20 s:\n${said.join('\n')}`)), 20_000);
    for (const pipe of [child.stdout, child.stderr]) {
      createInterface({ input: pipe }).on('line', (line) => {
        said.push(line);
        const m = /listening on (http:\/\/127\.0\.0\.1:\d+)/.exec(line);
        if (m) {
          clearTimeout(timer);
          resolve(m[1]);
        }
      });
    }
    child.on('error', reject);
    child.on('exit', (code) => reject(new Error(`the server ended with ${code}:\n${said.join('\n')}`)));
  });

  const exited = new Promise((resolve) => child.on('exit', resolve));
  return {
    url,
    dir,
    pid: child.pid,
    port: Number(new URL(url).port),
    async stop() {
      child.kill('SIGTERM');
      await exited;
    },
    async remove() {
      await this.stop();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

/** Calls the API; fails on an error answer. */
export function client(url) {
  return async (method, path, body, type = 'application/json') => {
    const res = await fetch(`${url}/api/v1${path}`, {
      method,
      headers: body === undefined ? {} : { 'Content-Type': type },
      body: body === undefined ? undefined : type === 'application/json' ? JSON.stringify(body) : body,
    });
    const text = await res.text();
    if (!res.ok) throw new Error(`${method} ${path}: ${res.status} ${text}`);
    return text ? JSON.parse(text) : undefined;
  };
}
