/** `EDGECORE_SEED` repeats a run. */
export const seed = Number(process.env.EDGECORE_SEED ?? Math.floor(Math.random() * 2 ** 31));

let state = seed;

/** [0, 1), the same sequence for the same seed.
 * @source mulberry32, public domain */
export function random(): number {
  state = (state + 0x6d2b79f5) | 0;
  let t = Math.imul(state ^ (state >>> 15), 1 | state);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
}
