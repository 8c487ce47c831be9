import * as v from 'valibot';
import { hostPort, pathOf, positive } from '../../core/config-fields.ts';

const LARGEST_PACKET = 268_435_455;
/** Longest path of a unix socket. @source unix(7): sun_path has 108 bytes, the last one zero */
const SOCKET_PATH_BYTES = 107;

/** What each kind of listener lets in unless told otherwise. The backlog of the kernel (511) may arrive at once, all of
 * it without CONNECT yet. A TLS client takes 62 KB, another one 5 to 13 KB (x86-64, Node 20); a TLS handshake is a
 * signature on the event loop, which with an RSA key takes a small gateway many milliseconds. */
const defaults = {
  tcp: { maxConnections: 1000, maxPending: 512, connectionsPerSecond: 200, connectionBurst: 1000 },
  unix: { maxConnections: 1000, maxPending: 512, connectionsPerSecond: 200, connectionBurst: 1000 },
  websocket: { maxConnections: 200, maxPending: 200, connectionsPerSecond: 50, connectionBurst: 200 },
  tls: { maxConnections: 100, maxPending: 64, connectionsPerSecond: 20, connectionBurst: 40 },
} as const;

const rules = (kind: keyof typeof defaults) => ({
  maxConnections: v.optional(positive('connections'), defaults[kind].maxConnections),
  maxPending: v.optional(positive('connections'), defaults[kind].maxPending),
  connectionsPerSecond: v.optional(positive('connections'), defaults[kind].connectionsPerSecond),
  connectionBurst: v.optional(positive('connections'), defaults[kind].connectionBurst),
  packetBytes: v.optional(
    v.pipe(positive('bytes'), v.maxValue(LARGEST_PACKET, `want at most ${LARGEST_PACKET} bytes`)),
  ),
  allowAnonymous: v.optional(v.boolean()),
});

const file = v.pipe(v.string(), v.minLength(1, 'want the path of a PEM file'));

const tcp = v.strictObject({ type: v.literal('tcp'), address: hostPort, ...rules('tcp') });

const tls = v.pipe(
  v.strictObject({
    type: v.literal('tls'),
    address: hostPort,
    tlsCertFile: file,
    tlsPrivateKeyFile: file,
    /** Who signs the clients' certificates; without it none is asked for. */
    tlsCaFile: v.optional(file),
    requireCertificate: v.optional(v.boolean(), false),
    ...rules('tls'),
  }),
  v.rawCheck(({ dataset, addIssue }) => {
    const value = (dataset.value ?? {}) as Record<string, unknown>;
    if (value.requireCertificate !== true || value.tlsCaFile !== undefined) return;
    const message = 'want the CA of the clients, as requireCertificate is set';
    addIssue({ message, path: pathOf('tlsCaFile'), input: undefined });
  }),
);

const unix = v.strictObject({
  type: v.literal('unix'),
  path: v.pipe(
    v.string(),
    v.startsWith('/', 'want an absolute path'),
    v.maxBytes(SOCKET_PATH_BYTES, `want a path of at most ${SOCKET_PATH_BYTES} bytes`),
  ),
  // YAML 1.2 reads 0660 as six hundred and sixty.
  mode: v.optional(
    v.pipe(
      v.string('want octal digits in quotes, "0660"'),
      v.regex(/^0?[0-7]{3}$/, 'want octal digits, "0660"'),
    ),
    '0660',
  ),
  ...rules('unix'),
});

const websocket = v.strictObject({
  type: v.literal('websocket'),
  path: v.optional(v.pipe(v.string(), v.regex(/^(\/[\w.~-]+)+$/, 'want a path such as /mqtt')), '/mqtt'),
  /** Pages that may connect besides those of this host; `*` lets in every page. */
  origins: v.optional(
    v.array(
      v.pipe(v.string(), v.regex(/^(\*|https?:\/\/[^\s/]+)$/, 'want an origin, https://HOST[:PORT], or *')),
    ),
    [],
  ),
  ...rules('websocket'),
});

/** One listener of the broker. */
export const listenerConfig = v.variant('type', [tcp, tls, unix, websocket]);

export type ListenerConfig = Readonly<v.InferOutput<typeof listenerConfig>>;
export type ListenerConfigOf<Type extends ListenerConfig['type']> = Extract<ListenerConfig, { type: Type }>;

/** A TCP listener with the usual rules, for as many clients as the broker takes. */
export function tcpListener(address: string, clients: number): ListenerConfig {
  return { ...defaults.tcp, type: 'tcp', address, maxConnections: clients, connectionBurst: clients };
}

/** The part of a listener that no other may have: its address, its socket file, its path of the HTTP port.
 * @param listener checked or not
 * @returns the key and its value, or undefined when there is none */
export function placeOf(
  listener: unknown,
): { key: 'address' | 'path'; value: string; place: string } | undefined {
  if (typeof listener !== 'object' || listener === null) return undefined;
  const { type, address, path } = listener as Readonly<Record<string, unknown>>;
  const [key, value, kind] =
    type === 'tcp' || type === 'tls'
      ? (['address', address, 'port'] as const)
      : (['path', path, type] as const);
  return typeof value === 'string' ? { key, value, place: `${kind} ${value}` } : undefined;
}
