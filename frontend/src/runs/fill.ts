/** Makes an element reach from where it begins down to the window's lower edge, or to what is fixed there. */
export function fill(el: HTMLElement): { destroy: () => void } {
  const set = () => {
    const top = el.getBoundingClientRect().top + el.ownerDocument.defaultView!.scrollY;
    const bar = matchMedia('(max-width: 640px)').matches ? 64 : 8;
    el.style.height = `${Math.max(380, innerHeight - top - bar)}px`;
  };
  set();
  const watch = new ResizeObserver(set);
  watch.observe(document.documentElement);
  if (el.parentElement) watch.observe(el.parentElement);
  addEventListener('resize', set);
  return {
    destroy: () => {
      watch.disconnect();
      removeEventListener('resize', set);
    },
  };
}
