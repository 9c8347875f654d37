// Markdown that people write about runs: to HTML by marked, made harmless by DOMPurify. Nothing in it may run, be
// fetched from elsewhere or look like a control of the page.
import DOMPurify from 'dompurify';
import { Marked } from 'marked';

const escaped = (text: string): string => text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);

// HTML inside is shown as it was written: browsers tell of its event handlers as a breach of the page's policy even
// where they only parse it.
const marked = new Marked({ gfm: true, breaks: true, renderer: { html: ({ text }) => escaped(text) } });

const allowed = {
  ALLOWED_TAGS: [
    'p', 'br', 'strong', 'em', 'del', 'code', 'pre', 'blockquote', 'ul', 'ol', 'li', 'a', 'img', 'hr',
    'h3', 'h4', 'h5', 'h6', 'table', 'thead', 'tbody', 'tr', 'th', 'td', 'sup', 'sub',
  ],
  ALLOWED_ATTR: ['href', 'src', 'alt', 'title', 'align', 'start'],
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
};

const purify = DOMPurify(window);
purify.addHook('afterSanitizeAttributes', (node) => {
  if (node.tagName === 'A') {
    node.setAttribute('rel', 'noopener noreferrer');
    if (node.getAttribute('href')?.match(/^[a-z]+:/i)) node.setAttribute('target', '_blank');
  }
  // A picture of another host would tell it who reads: its words stand in its place.
  if (node.tagName === 'IMG' && !/^(\/(?!\/)|data:image\/)/i.test(node.getAttribute('src') ?? '')) {
    node.replaceWith(node.getAttribute('alt') || node.getAttribute('src') || '');
  }
});

/** The page's own headings are levels 1 and 2: those of the text begin below them. */
export function html(text: string): string {
  const made = marked.parse(text, { async: false }).replace(/<(\/?)h([1-6])/g, (_, slash: string, n: string) => `<${slash}h${Math.min(6, Number(n) + 2)}`);
  return purify.sanitize(made, allowed);
}
