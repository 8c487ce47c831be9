/** A TCP address, host without brackets. */
export type HostPort = { readonly host: string; readonly port: number };

/** Splits `HOST:PORT` or `[IPv6]:PORT`; the text has been checked before. */
export function splitHostPort(text: string): HostPort {
  const colon = text.lastIndexOf(':');
  return { host: text.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(text.slice(colon + 1)) };
}
