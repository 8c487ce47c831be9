import { newKit } from './kit.ts';

/** `kit.mjs` beside a plugin: the kit for its own tests. All of it is real but the serial lines, which edgecore opens. */
export const kit = newKit();
