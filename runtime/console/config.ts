import * as v from 'valibot';
import { hostPort } from '../core/config-fields.ts';

/** `modules.console`, ours: the local page and `/metrics`. */
export const consoleConfig = v.strictObject({
  enable: v.optional(v.boolean(), true),
  /** HOST:PORT; anything but loopback shows the page to the network, without a password. */
  address: v.optional(hostPort, '127.0.0.1:10560'),
  /** Whether who uses this machine may set properties and call methods of devices by the page. */
  writes: v.optional(v.boolean(), false),
});

export type ConsoleConfig = Readonly<v.InferOutput<typeof consoleConfig>>;
