// The time, for durations and "… ago" that go on while the page is open.
class Clock {
  now = $state(Date.now());
}

export const clock = new Clock();
setInterval(() => (clock.now = Date.now()), 1000);
