import * as v from 'valibot';
import { bridgeConfigs, brokerAddress } from '../broker/bridge/config.ts';
import { defaultBrokerLimits } from '../broker/config.ts';

const most = (name: NumericLimit, highest: number) =>
  v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(highest)), defaultBrokerLimits[name]);

type NumericLimit =
  | 'packetBytes'
  | 'clients'
  | 'subscriptionsPerClient'
  | 'topicLevels'
  | 'inflight'
  | 'queueCount'
  | 'queueBytes'
  | 'socketBytes';

/** `modules.eventBus.limits`: what one client may cost the internal broker. Ours; KubeEdge has none. */
const brokerLimits = v.strictObject({
  packetBytes: most('packetBytes', 268_435_455),
  clients: most('clients', 100_000),
  subscriptionsPerClient: most('subscriptionsPerClient', 1_000_000),
  topicLevels: most('topicLevels', 1000),
  inflight: most('inflight', 65_535),
  queueCount: most('queueCount', 10_000_000),
  queueBytes: most('queueBytes', 2 ** 40),
  queueDrop: v.optional(v.picklist(['oldest', 'newest']), defaultBrokerLimits.queueDrop),
  socketBytes: most('socketBytes', 2 ** 30),
});

/** What edgecore presents to the external broker. @source KubeEdge EventBusTLS */
const eventBusTls = v.strictObject({
  enable: v.optional(v.boolean(), false),
  tlsMqttCAFile: v.optional(v.string(), '/etc/kubeedge/ca/rootCA.crt'),
  tlsMqttCertFile: v.optional(v.string(), '/etc/kubeedge/certs/server.crt'),
  tlsMqttPrivateKeyFile: v.optional(v.string(), '/etc/kubeedge/certs/server.key'),
});

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
  eventBusTLS: v.optional(eventBusTls, {}),
  // Ours: other brokers that the one in edgecore exchanges messages with.
  bridges: v.optional(bridgeConfigs, []),
});

/** `modules.eventBus`. `mqttMode`: 0 the broker in this process, 1 both, 2 an external one.
 * Differs: KubeEdge's default is 2, a mosquitto beside it; here the broker is part of edgecore.
 * @source KubeEdge api/apis/componentconfig/edgecore/v1alpha2 EventBus */
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
);

export type EventBusConfig = Readonly<v.InferOutput<typeof eventBusConfig>>;
