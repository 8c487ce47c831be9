import mqtt, { type IConnectPacket, type Packet } from 'mqtt-packet';
import type { ProtocolVersion } from '../codec.ts';
import type { QoS } from '../message.ts';
import type { Random } from './random.ts';

/** Packets that a client sends, each encoded. */
export type Stream = readonly Buffer[];

const topics = ['a', 'a/b', 'a/b/c', 'sensor/1/temperature', 'ü/☃', '/', '$own/x', `long/${'x'.repeat(300)}`];
const filters = [...topics, '#', '+', 'a/+', 'a/#', '+/b/#', 'sensor/+/temperature', '/+'];
const sizes = [0, 1, 10, 100, 1000];

/** Makes sessions as well-behaved clients have them: everything that the broker has to do with them is to serve them. */
export class ValidSessions {
  private readonly random: Random;
  private readonly bodies: Readonly<Record<ProtocolVersion, Stream>>;
  private readonly openings: Readonly<Record<ProtocolVersion, Stream>>;

  constructor(random: Random) {
    this.random = random;
    const many = (count: number, make: () => Buffer): Stream => Array.from({ length: count }, make);
    const bodies = (version: ProtocolVersion) => many(1500, () => encode(this.body(version), version));
    const openings = (version: ProtocolVersion) => many(300, () => encode(this.connect(version), version));
    this.bodies = { 3: bodies(3), 4: bodies(4), 5: bodies(5) };
    this.openings = { 3: openings(3), 4: openings(4), 5: openings(5) };
  }

  /** CONNECT and what follows. */
  make(version: ProtocolVersion, random: Random): Buffer[] {
    const stream = [random.pick(this.openings[version])];
    for (let i = random.below(9); i > 0; i--) stream.push(random.pick(this.bodies[version]));
    if (random.oneIn(4)) stream.push(Buffer.from([0xe0, 0]));
    return stream;
  }

  private connect(version: ProtocolVersion): IConnectPacket {
    const { random } = this;
    const clean = random.oneIn(2);
    return {
      cmd: 'connect',
      clientId: `client-${random.below(40)}`,
      protocolId: version === 3 ? 'MQIsdp' : 'MQTT',
      protocolVersion: version,
      clean,
      keepalive: random.pick([0, 1, 60, 65_535]),
      ...(random.oneIn(3) ? { username: 'somebody', password: random.bytes(5) } : {}),
      ...(random.oneIn(3) ? { will: this.will(version) } : {}),
      ...(version === 5 && random.oneIn(2) ? { properties: this.connectProperties() } : {}),
    };
  }

  private connectProperties(): NonNullable<IConnectPacket['properties']> {
    const { random } = this;
    return {
      sessionExpiryInterval: random.pick([0, 10, 1000, 0xffff_ffff]),
      ...(random.oneIn(2) ? { receiveMaximum: 1 + random.below(100) } : {}),
      ...(random.oneIn(4) ? { maximumPacketSize: 100 + random.below(5000) } : {}),
      ...(random.oneIn(2) ? { topicAliasMaximum: random.below(10) } : {}),
      ...(random.oneIn(2) ? { requestProblemInformation: random.oneIn(2) } : {}),
      ...(random.oneIn(3) ? { userProperties: { name: 'value', list: ['1', '2'] } } : {}),
    };
  }

  private will(version: ProtocolVersion): NonNullable<IConnectPacket['will']> {
    const { random } = this;
    const properties = { willDelayInterval: random.below(3), ...this.messageProperties() };
    return {
      topic: random.pick(topics),
      payload: random.bytes(random.pick(sizes)),
      qos: random.below(3) as QoS,
      retain: random.oneIn(2),
      ...(version === 5 && random.oneIn(2) ? { properties } : {}),
    };
  }

  private body(version: ProtocolVersion): Packet {
    const { random } = this;
    const messageId = 1 + random.below(20);
    const five = version === 5 && random.oneIn(3);
    const properties = five ? { properties: { userProperties: { why: 'so' } } } : {};
    switch (random.below(8)) {
      case 0: {
        const subscriptions = Array.from({ length: 1 + random.below(3) }, () => this.subscription(version));
        const id = five ? { properties: { subscriptionIdentifier: 1 + random.below(300) } } : {};
        return { cmd: 'subscribe', messageId, subscriptions, ...id };
      }
      case 1:
        return { cmd: 'unsubscribe', messageId, unsubscriptions: [random.pick(filters)], ...properties };
      case 2:
        return { cmd: random.pick(['puback', 'pubrec', 'pubcomp', 'pubrel']), messageId, ...properties };
      case 3:
        return { cmd: 'pingreq' };
      default:
        return this.publish(version, messageId);
    }
  }

  private subscription(version: ProtocolVersion) {
    const { random } = this;
    const topic = random.pick(filters);
    const qos = random.below(3) as QoS;
    if (version !== 5) return { topic, qos };
    const share = random.oneIn(5);
    const rh = random.below(3);
    return { topic: share ? `$share/s/${topic}` : topic, qos, nl: !share && random.oneIn(4), rap: true, rh };
  }

  private publish(version: ProtocolVersion, messageId: number): Packet {
    const { random } = this;
    const qos = random.below(3) as QoS;
    const five = version === 5 && random.oneIn(2);
    return {
      cmd: 'publish',
      topic: random.pick(topics),
      payload: random.bytes(random.pick(sizes)),
      qos,
      retain: random.oneIn(6),
      dup: qos > 0 && random.oneIn(5),
      ...(qos > 0 ? { messageId } : {}),
      ...(five ? { properties: { ...this.messageProperties(), ...this.alias() } } : {}),
    };
  }

  private alias() {
    return this.random.oneIn(3) ? { topicAlias: 1 + this.random.below(32) } : {};
  }

  private messageProperties() {
    const { random } = this;
    return {
      ...(random.oneIn(2) ? { messageExpiryInterval: random.below(100) } : {}),
      ...(random.oneIn(2) ? { payloadFormatIndicator: random.oneIn(2) } : {}),
      ...(random.oneIn(2) ? { contentType: 'text/plain' } : {}),
      ...(random.oneIn(2) ? { responseTopic: 'answers/here' } : {}),
      ...(random.oneIn(2) ? { correlationData: random.bytes(8) } : {}),
      ...(random.oneIn(2) ? { userProperties: { key: ['one', 'two'], ö: 'ß' } } : {}),
    };
  }
}

function encode(packet: Packet, version: ProtocolVersion): Buffer {
  return mqtt.generate(packet, { protocolVersion: version });
}
