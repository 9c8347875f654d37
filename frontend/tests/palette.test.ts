import assert from 'node:assert/strict';
import { test } from 'node:test';
import { colourCount, colourOf } from '../src/panels/palette.ts';

type Three = [number, number, number];

const linear = (hex: string) =>
  [1, 3, 5].map((i) => {
    const c = parseInt(hex.slice(i, i + 2), 16) / 255;
    return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  }) as Three;

const times = (m: number[][], v: number[]) => m.map((row) => row.reduce((s, x, i) => s + x * v[i]!, 0)) as Three;

// Björn Ottosson's OKLab of linear sRGB.
const oklab = (rgb: Three) =>
  times(
    [[0.2104542553, 0.793617785, -0.0040720468], [1.9779984951, -2.428592205, 0.4505937099], [0.0259040371, 0.7827717662, -0.808675766]],
    times([[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566], [0.0883024619, 0.2817188376, 0.6299787005]], rgb).map(Math.cbrt),
  );

// Machado et al. (2009), severity 1.
const sight = {
  normal: [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
  protanopia: [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
  deuteranopia: [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
};

const least = (hexes: string[], kind: keyof typeof sight) => {
  const seen = hexes.map((h) => oklab(times(sight[kind], linear(h)).map((v) => Math.min(1, Math.max(0, v))) as Three));
  let min = Infinity;
  for (const [i, a] of seen.entries()) for (const b of seen.slice(0, i)) min = Math.min(min, 100 * Math.hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]));
  return min;
};

const luminance = (hex: string) => times([[0.2126, 0.7152, 0.0722]], linear(hex))[0];
const contrast = (a: string, b: string) => {
  const [x, y] = [luminance(a), luminance(b)].sort((p, q) => q - p);
  return (x! + 0.05) / (y! + 0.05);
};

for (const dark of [false, true]) {
  const hexes = Array.from({ length: colourCount }, (_, i) => colourOf(i, dark).colour);
  test(`twenty colours on the ${dark ? 'dark' : 'light'} ground are told apart, also by the colour-blind, and stand out from it`, () => {
    assert.equal(colourCount, 20);
    assert.ok(least(hexes, 'normal') > 10, String(least(hexes, 'normal')));
    assert.ok(least(hexes, 'protanopia') > 6.5, String(least(hexes, 'protanopia')));
    assert.ok(least(hexes, 'deuteranopia') > 6.5, String(least(hexes, 'deuteranopia')));
    for (const h of hexes) assert.ok(contrast(h, dark ? '#1a2224' : '#ffffff') >= 3, `${h} ${contrast(h, dark ? '#1a2224' : '#ffffff')}`);
  });
}

test('no two of 140 indices share colour and line style, and odd indices give a colour too', () => {
  const all = Array.from({ length: 140 }, (_, i) => JSON.stringify(colourOf(i, false)));
  assert.equal(new Set(all).size, 140);
  for (const i of [-1, NaN, 1e9, 2.5]) assert.match(colourOf(i, true).colour, /^#[0-9a-f]{6}$/);
});
