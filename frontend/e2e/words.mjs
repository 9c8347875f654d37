// The interface's texts as the browser's language has them, read from its catalogues.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const dir = fileURLToPath(new URL('../src/i18n', import.meta.url));

function catalogue(lang) {
  const out = new Map();
  for (const file of readdirSync(dir).filter((f) => f.endsWith(`${lang}.ts`))) {
    for (const m of readFileSync(join(dir, file), 'utf8').matchAll(/^ {2}'?([\w.]+)'?: (['"`])(.*)\2,$/gm)) out.set(m[1], m[3].replaceAll(`\\${m[2]}`, m[2]));
  }
  return out;
}

/** words(key, args) in a language: a text, its placeholders filled where args has them. "one|many" is many unless args.count is 1. */
export function words(lang) {
  const texts = catalogue(lang);
  return (key, args = {}) => {
    const text = texts.get(key);
    if (text === undefined) throw new Error(`there is no text ${key} in ${lang}`);
    const forms = text.split('|');
    return (args.count === 1 ? forms[0] : forms.at(-1)).replace(/\{(\w+)\}/g, (all, name) => String(args[name] ?? all));
  };
}
