/** What a test begins its random choices with; it prints it. `EDGECORE_SEED` repeats a run. The gate names one seed for each
 * commit (`EDGECORE_COMMIT_SEED`), so that a commit passes or fails whoever runs it; elsewhere every run has another.
 * @returns a whole number below 2^31 */
export function testSeed(): number {
  const { EDGECORE_SEED: asked, EDGECORE_COMMIT_SEED: commit } = process.env;
  return Number(asked ?? commit ?? Math.floor(Math.random() * 2 ** 31));
}

/** A generator of [0, 1) that a seed repeats. @source mulberry32, Tommy Ettinger, public domain */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** @returns the same items in an order of the generator's */
export function shuffled<T>(items: readonly T[], random: () => number): T[] {
  const rest = [...items];
  return items.flatMap(() => rest.splice(Math.floor(random() * rest.length), 1));
}
