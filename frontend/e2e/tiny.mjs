// The shipped configuration and notebooks on few rows and with so little training that a whole job takes seconds.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
export const built = (name) => join(root, 'wasm-metrics/dist', `${name}.wasm`);

/** Writes the first rows of the sample below a folder, and gives texts that run on them there. */
export function tiny(dir, rows = 64) {
  mkdirSync(join(dir, 'rows'), { recursive: true });
  for (const lang of ['en', 'ja']) {
    const all = readFileSync(join(root, `configs/sample/four_class_sample_${lang}.jsonl`), 'utf8').split('\n');
    writeFileSync(join(dir, 'rows', `four_class_${lang}.jsonl`), all.slice(0, rows).join('\n') + '\n');
  }
  /** Each replacement must be there, so that a change of the shipped file is noticed. */
  const with_ = (text, changes) => {
    for (const [from, to] of changes) {
      if (!text.includes(from)) throw new Error(`the shipped file has no longer ${JSON.stringify(from)}`);
      text = text.replaceAll(from, to);
    }
    return text;
  };
  const here = [
    ['configs/sample/four_class_*.jsonl', join(dir, 'rows/four_class_*.jsonl')],
    ['wasm-metrics/dist/', join(root, 'wasm-metrics/dist/')],
    ['output_dir: work/demo', `output_dir: ${join(dir, 'work')}`],
    ['base_model: work/base', `base_model: ${join(dir, 'base')}`],
    ['vocab_size: 2048', 'vocab_size: 512'],
    ['max_length: 160', 'max_length: 96'],
    ['logging_steps: 5', 'logging_steps: 1'],
    ['eval_steps: 58', 'eval_steps: 10'],
  ];
  const less = (base, tune, so8t) => [[/num_train_epochs: 6\b/, base], [/num_train_epochs: 12\b/, tune], [/num_train_epochs: 2\b/, so8t]];
  const shorter = (text, epochs) => less(...epochs).reduce((t, [from, to]) => t.replace(from, `num_train_epochs: ${to}`), text);
  return {
    /** A shipped notebook; seed sets its results apart from another's. */
    notebook: (name, seed, epochs = [0.5, 10, 0.2]) =>
      shorter(with_(readFileSync(join(root, 'configs/notebooks', name), 'utf8'), [...here, ['\nname: first-notebook\n', `\nname: first-notebook\nseed: ${seed}\ndevice: cpu\n`]]), epochs),
    /** The demo's configuration. */
    demo: (seed, epochs = [0.5, 8, 0.2]) =>
      shorter(with_(readFileSync(join(root, 'configs/demo.yaml'), 'utf8'), [...here, ['seed: 42', `seed: ${seed}`], ['device: auto', 'device: cpu']]), epochs),
  };
}
