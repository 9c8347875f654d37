// A table or a text that is wider than its place scrolls, and whoever has no mouse must reach it: it takes the keyboard
// while it scrolls and holds nothing that does.
const boxes = '.table, pre';
const takesKeys = 'a[href], button, input, select, textarea, [tabindex]';

export function scrollers(main: HTMLElement): { destroy: () => void } {
  let timer = 0;
  const look = () => {
    timer = 0;
    for (const el of main.querySelectorAll<HTMLElement>(boxes)) {
      const scrolls = (el.scrollWidth > el.clientWidth + 1 || el.scrollHeight > el.clientHeight + 1) && !el.querySelector(takesKeys);
      if (scrolls && !el.hasAttribute('tabindex')) {
        el.tabIndex = 0;
        el.dataset.scrolls = '';
      } else if (!scrolls && el.dataset.scrolls !== undefined) {
        el.removeAttribute('tabindex');
        delete el.dataset.scrolls;
      }
    }
  };
  const soon = () => (timer ||= window.setTimeout(look, 200));
  const changes = new MutationObserver(soon);
  changes.observe(main, { childList: true, subtree: true });
  addEventListener('resize', soon);
  soon();
  return {
    destroy: () => {
      changes.disconnect();
      removeEventListener('resize', soon);
      clearTimeout(timer);
    },
  };
}
