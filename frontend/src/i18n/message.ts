// Filling of messages, apart from the state that says which language is on, so that tests can use it.

export type Args = Record<string, string | number>;

/** Names of the placeholders of a message, sorted, each once. */
export function placeholders(message: string): string[] {
  return [...new Set([...message.matchAll(/\{(\w+)\}/g)].map((m) => m[1]!))].sort();
}

/** Chooses between "one|many" by args.count and fills the placeholders; numbers as the language
 *  writes them. A placeholder without an argument stays, so that a fault is seen. */
export function fill(message: string, lang: string, args: Args): string {
  const forms = message.split('|');
  let text = forms[0]!;
  if (forms.length > 1 && typeof args.count === 'number') {
    text = new Intl.PluralRules(lang).select(args.count) === 'one' ? forms[0]! : forms[1]!;
  }
  return text.replace(/\{(\w+)\}/g, (all, name: string) => {
    const v = args[name];
    return v === undefined ? all : typeof v === 'number' ? v.toLocaleString(lang) : v;
  });
}
