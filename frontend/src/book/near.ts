// One observer tells elements when they come near what is seen.
const told = new WeakMap<Element, () => void>();
let observer: IntersectionObserver | undefined;

/** Attached to an element: calls once it is within a window's height or so of what is seen. */
export function whenNear(call: () => void): (el: Element) => () => void {
  return (el) => {
    observer ??= new IntersectionObserver(
      (entries, o) => {
        for (const e of entries) {
          if (!e.isIntersecting) continue;
          o.unobserve(e.target);
          told.get(e.target)?.();
        }
      },
      { rootMargin: '900px 0px' },
    );
    told.set(el, call);
    observer.observe(el);
    return () => observer?.unobserve(el);
  };
}
