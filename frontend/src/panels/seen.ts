// Which elements are in view, or nearly: one observer for all, so that a page of panels learns it at once.

const told = new Map<Element, (seen: boolean) => void>();
let observer: IntersectionObserver | undefined;

/** Tells when an element comes into view and when it leaves; gives what ends it. */
export function watchSeen(el: Element, tell: (seen: boolean) => void): () => void {
  observer ??= new IntersectionObserver((entries) => {
    for (const e of entries) told.get(e.target)?.(e.isIntersecting);
  }, { rootMargin: '120px' });
  told.set(el, tell);
  observer.observe(el);
  return () => {
    told.delete(el);
    observer!.unobserve(el);
  };
}
