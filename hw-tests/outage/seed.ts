import { seededRandom, testSeed } from '../../runtime/core/test-random.ts';

/** Of the outages of this run. */
export const seed = testSeed();

/** [0, 1), the same sequence for the same seed. */
export const random = seededRandom(seed);
