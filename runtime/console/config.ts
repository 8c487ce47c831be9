import * as v from 'valibot';
import { hostPort } from '../core/config-fields.ts';

/** `modules.console`, ours: the local page and `/metrics`. */
export const consoleConfig = v.strictObject({
  enable: v.optional(v.boolean(), true),
  /** HOST:PORT; anything but loopback shows the page to the network, without a password. */
  address: v.optional(hostPort, '127.0.0.1:10560'),
});

export type ConsoleConfig = Readonly<v.InferOutput<typeof consoleConfig>>;
