/** Boxes of tables that are wider than their place take the keyboard's focus, so that the arrow keys scroll them. */
export function scrolled(root: HTMLElement): () => void {
  const look = () => {
    for (const box of root.querySelectorAll<HTMLElement>('.table')) {
      if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
      else box.removeAttribute('tabindex');
    }
  };
  const sizes = new ResizeObserver(look);
  sizes.observe(root);
  const changes = new MutationObserver(look);
  changes.observe(root, { childList: true, subtree: true });
  return () => {
    sizes.disconnect();
    changes.disconnect();
  };
}
