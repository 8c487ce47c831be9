import { isIP } from 'node:net';

/** Whether a page may talk to this server. A program sends no origin and is no page. A page of this host may; one from
 * elsewhere only when it is listed. A host by name counts as this one only if it is `localhost`: any other name may be
 * one that the page's author has pointed at this machine.
 * @param origin the header `Origin`; browsers send it with every WebSocket
 * @param host the header `Host`
 * @param allowed origins of the configuration; `*` stands for every one
 * @source RFC 6455 §4.2.2, §10.2 */
export function isOriginAllowed(
  origin: string | undefined,
  host: string,
  allowed: readonly string[],
): boolean {
  if (origin === undefined || allowed.includes('*')) return true;
  const wanted = origin.toLowerCase();
  if (allowed.some((entry) => entry.toLowerCase() === wanted)) return true;
  if (!URL.canParse(origin)) return false;
  const page = new URL(origin);
  return page.host === host.toLowerCase() && isOwnHost(page.host);
}

/** Whether a host is one that nobody else can have pointed at this machine: an IP address, or `localhost`.
 * @param host as in the header `Host`, with or without port */
export function isOwnHost(host: string): boolean {
  if (!URL.canParse(`http://${host}`)) return false;
  const { hostname } = new URL(`http://${host}`);
  return hostname === 'localhost' || isIP(hostname.replace(/^\[|\]$/g, '')) !== 0;
}
