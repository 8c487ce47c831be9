import * as v from 'valibot';

/** `modules.console`, ours: the local page and `/metrics`. */
export const consoleConfig = v.strictObject({
  enable: v.optional(v.boolean(), true),
  /** HOST:PORT; anything but loopback shows the page to the network, without a password. */
  address: v.optional(
    v.pipe(v.string(), v.regex(/^(\[[0-9a-fA-F:]+\]|[^\s:/[\]]+):\d{1,5}$/, 'want HOST:PORT')),
    '127.0.0.1:10560',
  ),
});

export type ConsoleConfig = Readonly<v.InferOutput<typeof consoleConfig>>;
