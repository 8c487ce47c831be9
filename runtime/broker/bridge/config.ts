import * as v from 'valibot';
import { positive } from '../../core/config-fields.ts';
import { bytes, seconds } from '../../core/units.ts';
import type { BridgeOptions, Dialect, TlsFiles } from './options.ts';
import { doubledMaps, mapFault, type TopicMap } from './topic-map.ts';

const prefix = v.optional(v.string(), '');

/** One topic map, with the words of mosquitto.conf. Differs: without `qos` a message keeps its own; mosquitto makes it 0. */
const topicMap = v.pipe(
  v.strictObject({
    pattern: v.string(),
    direction: v.optional(v.picklist(['in', 'out', 'both']), 'out'),
    qos: v.optional(v.picklist([0, 1, 2]), 2),
    localPrefix: prefix,
    remotePrefix: prefix,
  }),
  v.check(
    (map) => mapFault(map) === undefined,
    ({ input }) => mapFault(input as TopicMap) ?? 'Invalid map',
  ),
);

const topicMaps = v.pipe(
  v.array(topicMap),
  v.minLength(1, 'want at least one topic map'),
  v.check(
    (maps) => doubledMaps(maps).length === 0,
    ({ input }) =>
      doubledMaps(input as readonly TopicMap[])
        .map(({ first, second, filter }) => `${first} and ${second} both want ${JSON.stringify(filter)}`)
        .join('; '),
  ),
);

/** `tcp://HOST:PORT` and its other names; with TLS `ssl://HOST:PORT`. */
export const brokerAddress = v.pipe(
  v.string(),
  v.regex(
    /^(tcp|mqtt|ssl|tls|mqtts):\/\/(\[[0-9a-fA-F:]+\]|[^\s:/[\]]+):\d{1,5}$/,
    'want tcp://HOST:PORT or ssl://HOST:PORT',
  ),
);

/** A packet's number of seconds of sixteen bits. */
const keepAlive = v.optional(
  v.pipe(v.number(), v.integer(), v.minValue(5, 'want 5 to 65535 seconds'), v.maxValue(65_535)),
  60,
);

const tlsFiles = v.strictObject({
  caFile: v.optional(v.string(), ''),
  certFile: v.optional(v.string(), ''),
  keyFile: v.optional(v.string(), ''),
  serverName: v.optional(v.string(), ''),
  insecure: v.optional(v.boolean(), false),
});

/** One of `modules.eventBus.bridges`. Ours; KubeEdge has none. */
export const bridgeConfig = v.strictObject({
  name: v.pipe(
    v.string(),
    v.regex(/^[A-Za-z0-9._-]{1,64}$/, 'want 1 to 64 letters, digits, dots, dashes, underscores'),
  ),
  address: brokerAddress,
  // Left empty: <node>.<name>.
  clientId: v.optional(v.string(), ''),
  username: v.optional(v.string(), ''),
  password: v.optional(v.string(), ''),
  protocol: v.optional(v.picklist(['auto', 'mqttv5', 'mqttv311']), 'auto'),
  // Whether a broker of 3.1.1 is told that this is a bridge, as in mosquitto.conf.
  tryPrivate: v.optional(v.boolean(), true),
  cleanSession: v.optional(v.boolean(), false),
  keepAlive,
  // Seconds.
  reconnect: v.optional(
    v.strictObject({ first: v.optional(positive('seconds'), 1), most: v.optional(positive('seconds'), 60) }),
    {},
  ),
  queue: v.optional(
    v.strictObject({
      count: v.optional(positive('messages'), 10_000),
      bytes: v.optional(positive('bytes'), 16 * 1024 * 1024),
      drop: v.optional(v.picklist(['oldest', 'newest']), 'oldest'),
    }),
    {},
  ),
  tls: v.optional(tlsFiles),
  topics: topicMaps,
});

export const bridgeConfigs = v.pipe(
  v.array(bridgeConfig),
  v.check(
    (bridges) => new Set(bridges.map(({ name }) => name)).size === bridges.length,
    'want a name of its own for each bridge',
  ),
);

export type BridgeConfig = v.InferOutput<typeof bridgeConfig>;

/** @param clientId of a bridge that is not given one */
export function bridgeOptions(config: BridgeConfig, clientId: string): BridgeOptions {
  const { name, address, username, password, cleanSession, reconnect, queue, topics } = config;
  const { host, port, isSecure } = splitAddress(address);
  return {
    name,
    maps: topics,
    queue: { count: queue.count, bytes: bytes(queue.bytes), drop: queue.drop },
    remote: {
      host,
      port,
      tls: isSecure || config.tls ? tlsOf(config.tls) : undefined,
      clientId: config.clientId || clientId,
      username: username || undefined,
      password: password || undefined,
      dialects: dialectsOf(config),
      cleanSession,
      keepAlive: config.keepAlive,
      retry: {
        first: seconds(Math.min(reconnect.first, reconnect.most)),
        factor: 2,
        cap: seconds(reconnect.most),
        jitter: 0.3,
      },
    },
  };
}

/** Takes a checked address apart. */
export function splitAddress(address: string): { host: string; port: number; isSecure: boolean } {
  const [scheme = '', rest = ''] = address.split('://');
  const colon = rest.lastIndexOf(':');
  return {
    host: rest.slice(0, colon).replace(/^\[|\]$/g, ''),
    port: Number(rest.slice(colon + 1)),
    isSecure: ['ssl', 'tls', 'mqtts'].includes(scheme),
  };
}

function tlsOf(tls: BridgeConfig['tls']): TlsFiles {
  const { caFile, certFile, keyFile, serverName, insecure = false } = tls ?? {};
  return {
    caFile: caFile || undefined,
    certFile: certFile || undefined,
    keyFile: keyFile || undefined,
    serverName: serverName || undefined,
    insecure,
  };
}

function dialectsOf({ protocol, tryPrivate }: BridgeConfig): [Dialect, ...Dialect[]] {
  const older: [Dialect, ...Dialect[]] = tryPrivate ? ['mqttv311-bridge', 'mqttv311'] : ['mqttv311'];
  if (protocol === 'mqttv311') return older;
  return protocol === 'mqttv5' ? ['mqttv5'] : ['mqttv5', ...older];
}
