/** Runs work over items, at most n at once, so that a run with hundreds of series does not take every
 *  connection the browser has. Stops early when the signal is aborted. */
export async function eachLimited<T>(
  items: T[],
  n: number,
  work: (item: T) => Promise<void>,
  signal?: AbortSignal,
): Promise<void> {
  let next = 0;
  const lane = async () => {
    while (next < items.length && !signal?.aborted) await work(items[next++]!);
  };
  await Promise.all(Array.from({ length: Math.min(n, items.length) }, lane));
}
