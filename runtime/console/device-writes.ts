import type { DeviceCommands, WriteOutcome } from '../core/device-commands.ts';
import { isRecord } from '../core/message.ts';
import { isOriginAllowed, isOwnHost } from '../core/origin.ts';
import { deviceId } from '../core/units.ts';
import type { HttpRequest, HttpText } from '../wire/http/http.ts';

/** Where a request came in: by the page's port, or by the socket that only edgecore's own user may open. */
export type Door = 'port' | 'socket';

const PATH = /^\/api\/devices\/([^/]+)\/([^/]+)\/(properties\/([^/]+)|methods\/([^/]+)\/([^/]+))$/;
/** A value may not be longer anyway. */
const LONGEST = 16 * 1024;

/** Takes `POST /api/devices/NAMESPACE/NAME/properties/PROPERTY` and `…/methods/METHOD/PROPERTY`, each with `{"value": "…"}`.
 * @param allowed whether the port takes them at all
 * @returns 200 done, 202 kept but not there yet, or why not, as JSON `{outcome, reason}`; undefined for another path */
export function deviceWrite(
  request: HttpRequest,
  door: Door,
  allowed: boolean,
  devices: DeviceCommands,
): Promise<HttpText> | HttpText | undefined {
  const names = PATH.exec(request.path)?.map(decoded);
  if (!names) return undefined;
  const fault = door === 'port' ? guardFault(request, allowed) : undefined;
  if (fault !== undefined) return said(403, 'refused', fault);
  const value = valueIn(request.body);
  if (value === undefined) return said(400, 'refused', 'want a body {"value": "…"}, the value as text');
  const [, namespace = '', name = '', , property, method, parameter] = names;
  const id = deviceId(namespace, name);
  const outcome =
    method === undefined
      ? devices.set(id, property ?? '', value)
      : devices.call(id, method, parameter ?? '', value);
  return outcome.then(answerOf);
}

/** Pages of other sites must not reach a device through somebody's browser: they cannot send JSON without asking first,
 * browsers say where a page is from, and a name that somebody has pointed at this machine is none of ours.
 * @source WHATWG Fetch, CORS-safelisted request-header; W3C Fetch Metadata */
function guardFault({ header, address }: HttpRequest, allowed: boolean): string | undefined {
  if (!allowed) return 'the console only reads: modules.console.writes lets it write';
  if (!/^(127\.|::1$|::ffff:127\.)/.test(address)) return 'devices are written from this machine only';
  if (header('content-type')?.split(';', 1)[0]?.trim() !== 'application/json')
    return 'want Content-Type: application/json';
  const host = header('host') ?? '';
  if (!isOwnHost(host)) return 'call this machine by its address, or localhost';
  const site = header('sec-fetch-site') ?? 'same-origin';
  if (site !== 'same-origin' || !isOriginAllowed(header('origin'), host, []))
    return 'a page of another site may not write';
  return undefined;
}

function valueIn(body: string): string | undefined {
  try {
    const raw: unknown = JSON.parse(body);
    const value = isRecord(raw) ? raw.value : undefined;
    return typeof value === 'string' && value.length <= LONGEST ? value : undefined;
  } catch {
    return undefined;
  }
}

function answerOf(outcome: WriteOutcome): HttpText {
  switch (outcome.kind) {
    case 'done':
      return said(200, 'done', '');
    case 'kept':
      return said(202, 'kept', outcome.reason);
    case 'refused':
      return said(outcome.code, 'refused', outcome.reason);
    default:
      return outcome satisfies never;
  }
}

function said(status: number, outcome: WriteOutcome['kind'], reason: string): HttpText {
  return { status, type: 'application/json', body: JSON.stringify({ outcome, reason }) };
}

/** What cannot be decoded names nothing that there is. */
function decoded(text: string | undefined): string | undefined {
  try {
    return text === undefined ? undefined : decodeURIComponent(text);
  } catch {
    return text;
  }
}
