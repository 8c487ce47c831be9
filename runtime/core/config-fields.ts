import * as v from 'valibot';

/** `host:port`, an IPv6 host in brackets. */
export const hostPort = v.pipe(
  v.string(),
  v.regex(/^(\[[0-9a-fA-F:]+\]|[^\s:/[\]]+):\d{1,5}$/, 'want HOST:PORT'),
);

/** A number of something, 1 or more. */
export const positive = (unit: string) => {
  const want = `want a whole number of ${unit}, 1 or more`;
  return v.pipe(v.number(), v.integer(want), v.minValue(1, want));
};

/** A TCP port; 0 picks a free one. */
export const portNumber = v.pipe(
  v.number(),
  v.integer(),
  v.minValue(0),
  v.maxValue(65_535, 'want a port, 0 to 65535'),
);

/** Where a fault is that concerns several keys, for a check of the object that holds them. */
export function pathOf(
  first: string,
  ...rest: readonly string[]
): [v.UnknownPathItem, ...v.UnknownPathItem[]] {
  const item = (key: string): v.UnknownPathItem => {
    return { type: 'unknown', origin: 'value', input: undefined, key, value: undefined };
  };
  return [item(first), ...rest.map(item)];
}
