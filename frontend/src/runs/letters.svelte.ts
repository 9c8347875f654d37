import { recall, remember } from '../lib/prefs.svelte.ts';

/** Whether single letters are shortcuts; a person who dictates or strays over keys switches them off. */
class Letters {
  on = $state(recall('letters') !== 'off');

  set(on: boolean): void {
    this.on = on;
    remember('letters', on ? 'on' : 'off');
  }
}

export const letters = new Letters();
