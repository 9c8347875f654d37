/** Does a thing once, so many seconds after the first of many calls for it. */
export function seconds(work: () => void, s: number): { soon: () => void; stop: () => void } {
  let timer: ReturnType<typeof setTimeout> | undefined;
  return {
    soon: () => {
      timer ??= setTimeout(() => {
        timer = undefined;
        work();
      }, s * 1000);
    },
    stop: () => clearTimeout(timer),
  };
}
