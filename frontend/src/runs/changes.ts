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

/** Does a thing so many seconds after the last of many calls for it, or when now is called while it is due. */
export function rest(work: () => void, s: number): { soon: () => void; now: () => void } {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const now = () => {
    if (timer === undefined) return;
    clearTimeout(timer);
    timer = undefined;
    work();
  };
  return {
    soon: () => {
      clearTimeout(timer);
      timer = setTimeout(now, s * 1000);
    },
    now,
  };
}
