// Texts of modules, files and models on a page. HTML lets characters through that hide, reorder or do
// nothing to be seen, by which one name passes for another. They are shown escaped here, as
// runtime/printable shows them on a terminal and in a report: the two are held to the same examples.

const hidden = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\p{Noncharacter_Code_Point}]/u;
// Format characters that are seen (Prepended_Concatenation_Mark, which regular expressions do not have).
const seen = /[\u0600-\u0605\u06DD\u070F\u0890\u0891\u08E2\u{110BD}\u{110CD}]/u;
const joining =
  /[\p{sc=Arab}\p{sc=Syrc}\p{sc=Mong}\p{sc=Nkoo}\p{sc=Deva}\p{sc=Beng}\p{sc=Guru}\p{sc=Gujr}\p{sc=Orya}\p{sc=Taml}\p{sc=Telu}\p{sc=Knda}\p{sc=Mlym}\p{sc=Sinh}\p{sc=Khmr}\p{sc=Mymr}\p{sc=Tibt}]/u;
const selector = /\p{Variation_Selector}/u;
const pictorial = /[\p{So}\u{1F3FB}-\u{1F3FF}\p{Variation_Selector}\u2640\u2642]/u;

function escaped(c: string): string {
  if (c === '\r') return '\\r';
  return Array.from({ length: c.length }, (_, i) => `\\u${c.charCodeAt(i).toString(16).padStart(4, '0')}`).join('');
}

/** Whether a hidden character may stand as it is between two others; before is empty behind an escape. */
function stays(c: string, before: string, after: string): boolean {
  if (c === '\n' || c === '\t') return true;
  if (c === '\u200c') return joining.test(before) && joining.test(after);
  if (c === '\u200d') return joining.test(before) || (pictorial.test(before) && pictorial.test(after));
  if (selector.test(c)) return before > ' ' && !selector.test(before);
  return seen.test(c);
}

/** The text with what is not to be seen in it as \uXXXX; line feeds and tabs stay. */
export function printable(text: string): string {
  if (!hidden.test(text)) return text;
  let before = '';
  let out = '';
  const characters = Array.from(text);
  characters.forEach((c, i) => {
    if (!hidden.test(c) || stays(c, before, characters[i + 1] ?? '')) {
      out += c;
      before = c;
    } else {
      out += escaped(c);
      before = '';
    }
  });
  return out;
}

const attributes = ['title', 'aria-label', 'alt', 'placeholder', 'label'];

function escapeNode(node: Node): void {
  if (node.nodeType === Node.TEXT_NODE) {
    const text = node.nodeValue ?? '';
    const shown = printable(text);
    if (shown !== text) node.nodeValue = shown;
    return;
  }
  if (node instanceof Element) {
    if (node.tagName === 'SCRIPT' || node.tagName === 'STYLE') return;
    for (const name of attributes) escapeAttribute(node, name);
  }
  node.childNodes.forEach(escapeNode);
}

function escapeAttribute(element: Element, name: string): void {
  const text = element.getAttribute(name);
  if (text === null) return;
  const shown = printable(text);
  if (shown !== text) element.setAttribute(name, shown);
}

/**
 * Keeps every text of a document printable, now and when it changes: before it is drawn, and wherever it
 * comes from, so that no component can forget it. What is edited (the values of fields) stays as it is.
 */
export function keepPrintable(root: Document): void {
  escapeNode(root.documentElement);
  new MutationObserver((changes) => {
    for (const c of changes) {
      if (c.type === 'attributes') escapeAttribute(c.target as Element, c.attributeName!);
      else if (c.type === 'characterData') escapeNode(c.target);
      else c.addedNodes.forEach(escapeNode);
    }
  }).observe(root.documentElement, {
    subtree: true, childList: true, characterData: true, attributes: true, attributeFilter: attributes,
  });
}
