import * as v from 'valibot';

/** `host:port`, an IPv6 host in brackets. */
export const hostPort = v.pipe(
  v.string(),
  v.regex(/^(\[[0-9a-fA-F:]+\]|[^\s:/[\]]+):\d{1,5}$/, 'want HOST:PORT'),
);

/** A number of something, 1 or more. */
export const positive = (unit: string) =>
  v.pipe(v.number(), v.integer(), v.minValue(1, `want a whole number of ${unit}, 1 or more`));

/** A TCP port; 0 picks a free one. */
export const portNumber = v.pipe(
  v.number(),
  v.integer(),
  v.minValue(0),
  v.maxValue(65_535, 'want a port, 0 to 65535'),
);
