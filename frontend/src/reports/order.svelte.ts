// Blocks that are put in another order by the pointer: the one that is dragged, and the place where it would stand.
export class Drag {
  /** Its place; −1: none is dragged. */
  from = $state(-1);
  to = $state(-1);
  #list: HTMLElement | undefined;
  readonly #drop: (from: number, to: number) => void;

  constructor(drop: (from: number, to: number) => void) {
    this.#drop = drop;
  }

  start(e: PointerEvent, list: HTMLElement, at: number): void {
    if (e.button !== 0) return;
    (e.currentTarget as HTMLElement).setPointerCapture(e.pointerId);
    this.#list = list;
    this.from = this.to = at;
  }

  over(e: PointerEvent): void {
    if (this.from < 0) return;
    e.preventDefault();
    const near = 48; // px from the edge, where the page scrolls along
    if (e.clientY < near + 40) scrollBy(0, -12);
    else if (e.clientY > innerHeight - near) scrollBy(0, 12);
    const others = [...this.#list!.children].filter((_, i) => i !== this.from);
    const before = others.findIndex((el) => {
      const box = el.getBoundingClientRect();
      return e.clientY < box.top + box.height / 2;
    });
    this.to = before < 0 ? others.length : before;
  }

  end(): void {
    const { from, to } = this;
    this.cancel();
    if (from >= 0 && to !== from) this.#drop(from, to);
  }

  cancel(): void {
    this.from = this.to = -1;
  }

  /** Where the mark is drawn that says where it would stand. */
  mark(at: number): '' | 'above' | 'below' {
    if (this.from < 0 || this.to === this.from || at !== this.to) return '';
    return this.to > this.from ? 'below' : 'above';
  }
}
