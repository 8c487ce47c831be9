import * as v from 'valibot';
import { bridgeConfigs, brokerAddress } from '../broker/bridge/config.ts';
import { defaultBrokerLimits } from '../broker/config.ts';
import { listenerConfig, placeOf } from '../broker/listeners/config.ts';
import { pathOf } from '../core/config-fields.ts';
import { seconds } from '../core/units.ts';

const most = (name: NumericLimit, highest: number, least = 1) =>
  v.optional(
    v.pipe(v.number(), v.integer(), v.minValue(least), v.maxValue(highest)),
    defaultBrokerLimits[name],
  );

type NumericLimit =
  | 'packetBytes'
  | 'connectBytes'
  | 'clients'
  | 'connecting'
  | 'sessions'
  | 'clientIdBytes'
  | 'subscriptionsPerClient'
  | 'subscriptions'
  | 'topicLevels'
  | 'topicBytes'
  | 'inflight'
  | 'queueCount'
  | 'queueBytes'
  | 'socketBytes'
  | 'keepAlive'
  | 'topicAliases'
  | 'retainedCount'
  | 'retainedBytes';

/** `modules.eventBus.limits`: what one client may cost the internal broker. Ours; KubeEdge has none. */
const brokerLimits = v.strictObject({
  packetBytes: most('packetBytes', 268_435_455),
  connectBytes: most('connectBytes', 1_048_576),
  clients: most('clients', 100_000),
  connecting: most('connecting', 100_000),
  sessions: most('sessions', 1_000_000),
  clientIdBytes: most('clientIdBytes', 65_535),
  subscriptionsPerClient: most('subscriptionsPerClient', 1_000_000),
  subscriptions: most('subscriptions', 10_000_000),
  topicLevels: most('topicLevels', 1000),
  topicBytes: most('topicBytes', 65_535),
  inflight: most('inflight', 65_535),
  queueCount: most('queueCount', 10_000_000),
  queueBytes: most('queueBytes', 2 ** 40),
  queueDrop: v.optional(v.picklist(['oldest', 'newest']), defaultBrokerLimits.queueDrop),
  socketBytes: most('socketBytes', 2 ** 30),
  keepAlive: most('keepAlive', 65_535),
  topicAliases: most('topicAliases', 65_535, 0),
  retainedCount: most('retainedCount', 10_000_000),
  retainedBytes: most('retainedBytes', 2 ** 40),
  /** In seconds, as MQTT counts it. */
  sessionExpiry: v.optional(
    v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(0xffff_ffff), v.transform(seconds)),
    defaultBrokerLimits.sessionExpiry / 1000,
  ),
});

/** What edgecore presents to the external broker. @source KubeEdge EventBusTLS */
const eventBusTls = v.strictObject({
  enable: v.optional(v.boolean(), false),
  tlsMqttCAFile: v.optional(v.string(), '/etc/kubeedge/ca/rootCA.crt'),
  tlsMqttCertFile: v.optional(v.string(), '/etc/kubeedge/certs/server.crt'),
  tlsMqttPrivateKeyFile: v.optional(v.string(), '/etc/kubeedge/certs/server.key'),
});

/** `modules.eventBus` by its keys. `mqttMode`: 0 the broker in this process, 1 both, 2 an external one.
 * Differs: KubeEdge's default is 2, a mosquitto beside it; here the broker is part of edgecore.
 * @source KubeEdge api/apis/componentconfig/edgecore/v1alpha2 EventBus */
const keys = v.strictObject({
  enable: v.optional(v.literal(true, 'devices are reached through it'), true),
  mqttMode: v.optional(
    v.picklist([0, 1, 2], 'want 0 (the broker in edgecore), 1 (both) or 2 (an external one)'),
    0,
  ),
  mqttServerInternal: v.optional(
    v.pipe(v.string(), v.regex(/^tcp:\/\/(\[[0-9a-fA-F:]+\]|[^\s:/[\]]+):\d{1,5}$/, 'want tcp://HOST:PORT')),
    'tcp://127.0.0.1:1883',
  ),
  /** Ours: more listeners of the internal broker, beside `mqttServerInternal`. */
  listeners: v.optional(v.array(listenerConfig), []),
  mqttServerExternal: v.optional(
    v.union([v.literal(''), brokerAddress], 'want tcp://HOST:PORT or ssl://HOST:PORT'),
    '',
  ),
  // Differs: 0 with KubeEdge. 1 costs nothing to who subscribed with 0, and reaches who is away.
  mqttQOS: v.optional(v.picklist([0, 1, 2]), 1),
  mqttRetain: v.optional(v.boolean(), false),
  // What waits for the external broker while it is away.
  mqttSessionQueueSize: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1)), 100),
  mqttSubClientID: v.optional(v.string(), ''),
  mqttPubClientID: v.optional(v.string(), ''),
  mqttUsername: v.optional(v.string(), ''),
  mqttPassword: v.optional(v.string(), ''),
  limits: v.optional(brokerLimits, {}),
  // Ours, as in mosquitto.conf: files of mosquitto_passwd and of acl_file's rules; empty: none.
  passwordFile: v.optional(v.string(), ''),
  aclFile: v.optional(v.string(), ''),
  // Left out: clients on this machine need no name, as long as there is no password file.
  allowAnonymous: v.optional(v.boolean()),
  // Ours: MQTT 5 clients are told 0x80 (unspecified) in place of 0x87 when a rule forbids a topic.
  concealDenials: v.optional(v.boolean(), false),
  eventBusTLS: v.optional(eventBusTls, {}),
  // Ours: other brokers that the one in edgecore exchanges messages with.
  bridges: v.optional(bridgeConfigs, []),
});

/** `modules.eventBus`. */
export const eventBusConfig = v.pipe(
  keys,
  v.forward(
    v.partialCheck(
      [['mqttMode'], ['mqttServerExternal'], ['mqttServerInternal']],
      ({ mqttMode, mqttServerExternal, mqttServerInternal }) =>
        mqttMode === 0 ||
        (mqttServerExternal !== '' && (mqttMode === 2 || mqttServerExternal !== mqttServerInternal)),
      'mqttMode 1 and 2 want the address of the external broker, another one than mqttServerInternal',
    ),
    ['mqttServerExternal'],
  ),
  v.forward(
    v.partialCheck(
      [['mqttMode'], ['bridges']],
      ({ mqttMode, bridges }) => mqttMode !== 2 || bridges.length === 0,
      "bridges are the internal broker's, which mqttMode 2 switches off",
    ),
    ['bridges'],
  ),
  v.forward(
    v.partialCheck(
      [['mqttSubClientID'], ['mqttPubClientID']],
      ({ mqttSubClientID, mqttPubClientID }) => mqttSubClientID === '' || mqttSubClientID !== mqttPubClientID,
      'want another id than mqttPubClientID: the two connections would end each other',
    ),
    ['mqttSubClientID'],
  ),
  v.rawCheck(({ dataset, addIssue }) => {
    for (const { index, key, value } of repeatedPlaces(
      (dataset.value ?? {}) as Partial<v.InferOutput<typeof keys>>,
    )) {
      const path = pathOf('listeners', String(index), key);
      addIssue({ message: 'another listener has it', input: value, path });
    }
  }),
);

/** Listeners that want what one before them has; the broken ones among them are looked at as far as they go. */
function repeatedPlaces({
  mqttMode,
  mqttServerInternal = '',
  listeners,
}: Partial<v.InferOutput<typeof keys>>) {
  const internal = { type: 'tcp', address: mqttServerInternal.replace('tcp://', '') };
  const taken = new Set(mqttMode === 2 ? [] : [placeOf(internal)?.place]);
  return (Array.isArray(listeners) ? listeners : []).flatMap((listener, index) => {
    const found = placeOf(listener);
    if (!found) return [];
    const repeated = taken.has(found.place);
    taken.add(found.place);
    return repeated ? [{ index, ...found }] : [];
  });
}

export type EventBusConfig = Readonly<v.InferOutput<typeof eventBusConfig>>;
