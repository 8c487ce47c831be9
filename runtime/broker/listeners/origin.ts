import { isIP } from 'node:net';

/** Whether a page may talk to the broker. A program sends no origin and is no page. A page of this host may; one from
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
  if (page.host !== host.toLowerCase()) return false;
  return page.hostname === 'localhost' || isIP(page.hostname.replace(/^\[|\]$/g, '')) !== 0;
}
