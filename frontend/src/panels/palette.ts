// The colours of runs and groups. A colour means one identity: table, lines and tooltips take it from here by the same
// index.

/** Twenty colours, for the light and the dark ground; the first two are the arms of a comparison. Found by simulated
 *  annealing in OKLCH, hues kept within 17° between the grounds, for the greatest least difference in OKLab among normal
 *  sight (weighed by 1/1.5), protanopia and deuteranopia as Machado, Oliveira and Fernandes (2009) simulate them at full
 *  severity. Least difference of any two, times 100 (2 is just noticeable): 11.4 light, 10.4 dark; for the colour-blind
 *  7.6 and 6.8. At least 3:1 against their ground. tests/palette.test.ts measures it again. */
const colours: [light: string, dark: string][] = [
  ['#2c69b0', '#7fb0f0'], // blue
  ['#a9490b', '#f0975a'], // rust
  ['#0ea201', '#65ff8e'], // green
  ['#f25ab2', '#fc81c6'], // pink
  ['#3e0093', '#8e7ec9'], // deep violet
  ['#025c51', '#aaffd7'], // pine
  ['#ff5a25', '#d76d00'], // orange
  ['#7192de', '#0199ff'], // sky
  ['#69092e', '#bc5153'], // wine
  ['#879a6d', '#dafe39'], // olive
  ['#996cff', '#9e4fcc'], // violet
  ['#673d00', '#ffc001'], // brown
  ['#009ca4', '#17b2a4'], // teal
  ['#a90041', '#f2bab2'], // crimson
  ['#003bbe', '#4f779a'], // royal
  ['#8f716a', '#f66070'], // clay
  ['#974b83', '#d2328b'], // plum
  ['#213664', '#cae5ff'], // navy
  ['#5d3e8a', '#debdff'], // purple
  ['#6151e2', '#566af7'], // indigo
];

/** Dash and gap lengths in px, one style for each further round of the colours. */
const dashes: number[][] = [[], [6, 3], [2, 2], [8, 3, 2, 3], [12, 3], [2, 5], [8, 2, 2, 2, 2, 2]];

export const colourCount = colours.length;

export interface Ink {
  colour: string;
  /** For setLineDash; empty is a solid line. */
  dash: number[];
}

/** Colour and line style of the index-th identity: no two of the first 140 are alike. */
export function colourOf(index: number, dark: boolean): Ink {
  const i = Math.max(0, Math.floor(index)) || 0;
  return {
    colour: colours[i % colours.length]![dark ? 1 : 0],
    dash: dashes[Math.floor(i / colours.length) % dashes.length]!,
  };
}
