// A drawing of what needs what: cells in layers, each below all that it needs, with few crossings. A layer is at most so wide
// (Coffman and Graham 1972), lines that pass layers are bent there (Sugiyama, Tagawa and Toda 1981).
export interface Need {
  id: string;
  needs: string[];
}

export interface Spot {
  id: string;
  layer: number;
  /** Of its left upper corner, px. */
  x: number;
  y: number;
}

export interface Wire {
  from: string;
  to: string;
  /** From the lower edge of one to the upper edge of the other. */
  points: [number, number][];
}

export interface Drawing {
  spots: Spot[];
  wires: Wire[];
  width: number;
  height: number;
}

export const size = { w: 124, h: 36, between: 12, bent: 4, down: 30 };
const sweeps = 10;

interface Item {
  id?: string;
  layer: number;
  up: Item[];
  down: Item[];
  at: number; // place in its layer
  x: number; // of its middle
}

const mean = (items: Item[], of: (i: Item) => number): number | undefined =>
  items.length ? items.reduce((n, i) => n + of(i), 0) / items.length : undefined;

/** Each id's layer; one that needs itself, by others, is let through where it closes the circle. */
function layersOf(nodes: Need[], widest: number): Map<string, number> {
  const byId = new Map(nodes.map((n) => [n.id, n]));
  const layer = new Map<string, number>();
  const room: number[] = [];
  const under = new Set<string>();
  const put = (n: Need): number => {
    const known = layer.get(n.id);
    if (known !== undefined) return known;
    under.add(n.id);
    let l = 0;
    for (const id of n.needs) {
      const up = byId.get(id);
      if (up && !under.has(id)) l = Math.max(l, put(up) + 1);
    }
    under.delete(n.id);
    while ((room[l] ?? 0) >= widest) l++;
    room[l] = (room[l] ?? 0) + 1;
    layer.set(n.id, l);
    return l;
  };
  for (const n of nodes) put(n);
  return layer;
}

const crossings = (layers: Item[][]): number => {
  let n = 0;
  for (const items of layers) {
    const ends = items.flatMap((i) => i.down.map((d) => [i.at, d.at] as const));
    for (let a = 0; a < ends.length; a++) for (let b = a + 1; b < ends.length; b++) if ((ends[a]![0] - ends[b]![0]) * (ends[a]![1] - ends[b]![1]) < 0) n++;
  }
  return n;
};

const order = (layers: Item[][]) => layers.forEach((items) => items.forEach((i, at) => (i.at = at)));

/** Orders each layer by the places of what its items are joined to, and keeps the best of some sweeps. */
function untangle(layers: Item[][]): void {
  order(layers);
  let best = layers.map((l) => [...l]);
  let least = crossings(layers);
  for (let s = 0; s < sweeps && least > 0; s++) {
    const down = s % 2 === 0;
    for (const items of down ? layers : [...layers].reverse()) {
      const place = new Map(items.map((i) => [i, mean(down ? i.up : i.down, (o) => o.at) ?? i.at]));
      items.sort((a, b) => place.get(a)! - place.get(b)! || a.at - b.at);
      items.forEach((i, at) => (i.at = at));
    }
    const n = crossings(layers);
    if (n < least) {
      least = n;
      best = layers.map((l) => [...l]);
    }
  }
  layers.forEach((l, i) => l.splice(0, l.length, ...best[i]!));
  order(layers);
}

const wide = (i: Item) => (i.id === undefined ? size.bent : size.w);

/** Puts a layer's items as near as can be to where they want to be, in their order and without overlap: least squares by
 *  pooling neighbours that press on each other. */
function settle(items: Item[], want: (i: Item) => number): void {
  const pools: { items: Item[]; sum: number }[] = [];
  const offset = new Map<Item, number>();
  let x = 0;
  for (const [n, i] of items.entries()) {
    const last = items[n - 1];
    if (last) x += (wide(last) + wide(i)) / 2 + (last.id === undefined || i.id === undefined ? size.between / 2 : size.between);
    offset.set(i, x);
    let pool = { items: [i], sum: want(i) - x };
    for (let before = pools.at(-1); before && before.sum / before.items.length > pool.sum / pool.items.length; before = pools.at(-1)) {
      pools.pop();
      pool = { items: [...before.items, ...pool.items], sum: before.sum + pool.sum };
    }
    pools.push(pool);
  }
  for (const p of pools) for (const i of p.items) i.x = p.sum / p.items.length + offset.get(i)!;
}

/** The drawing of nodes, which stand in a layer in the order given where nothing else decides. */
export function drawing(nodes: Need[]): Drawing {
  const layer = layersOf(nodes, Math.min(10, Math.max(3, Math.ceil(Math.sqrt(nodes.length / 1.5)))));
  const layers: Item[][] = [];
  const make = (l: number, id?: string): Item => {
    const i: Item = { layer: l, up: [], down: [], at: 0, x: 0, ...(id === undefined ? {} : { id }) };
    (layers[l] ??= []).push(i);
    return i;
  };
  const items = new Map(nodes.map((n) => [n.id, make(layer.get(n.id)!, n.id)]));
  const paths: { from: string; to: string; items: Item[] }[] = [];
  const lines = new Map<Item, Item[]>();
  const join = (up: Item, down: Item): Item => {
    up.down.push(down);
    down.up.push(up);
    return down;
  };
  for (const n of nodes) {
    for (const id of new Set(n.needs)) {
      const [up, down] = [items.get(id), items.get(n.id)!];
      if (!up || up.layer >= down.layer) continue;
      // All that need one cell share a line as far as they go together.
      const line = lines.get(up) ?? [up];
      lines.set(up, line);
      while (line.length < down.layer - up.layer) line.push(join(line.at(-1)!, make(up.layer + line.length)));
      const path = line.slice(0, down.layer - up.layer);
      path.push(join(path.at(-1)!, down));
      paths.push({ from: id, to: n.id, items: path });
    }
  }
  untangle(layers);
  for (const l of layers) settle(l, (i) => i.at);
  for (let s = 0; s < sweeps; s++) {
    for (const l of s % 2 ? [...layers].reverse() : layers) settle(l, (i) => mean([...i.up, ...i.down], (o) => o.x) ?? i.x);
  }
  const all = layers.flat();
  const left = Math.min(...all.map((i) => i.x - wide(i) / 2), Infinity);
  const y = (l: number) => l * (size.h + size.down);
  return {
    spots: all.filter((i) => i.id !== undefined).map((i) => ({ id: i.id!, layer: i.layer, x: i.x - size.w / 2 - left, y: y(i.layer) })),
    wires: paths.map((p) => ({
      from: p.from, to: p.to,
      points: p.items.flatMap((i, k): [number, number][] => {
        const x = i.x - left;
        if (k === 0) return [[x, y(i.layer) + size.h]];
        return k === p.items.length - 1 ? [[x, y(i.layer)]] : [[x, y(i.layer)], [x, y(i.layer) + size.h]];
      }),
    })),
    width: nodes.length ? Math.max(...all.map((i) => i.x + wide(i) / 2)) - left : 0,
    height: layers.length ? y(layers.length) - size.down : 0,
  };
}
