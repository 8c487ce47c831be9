import { Duplex } from 'node:stream';
import mqtt, { type IConnackPacket, type IPublishPacket, type ISubackPacket, type Packet } from 'mqtt-packet';
import type { Broker } from './broker.ts';
import { FrameReader } from './frame.ts';

/** Two ends of a wire in memory. */
export function duplexPair(): [Duplex, Duplex] {
  const make = (other: () => Duplex): Duplex =>
    new Duplex({
      read() {},
      write(chunk, _encoding, done) {
        other().push(chunk);
        done();
      },
      final(done) {
        other().push(null);
        done();
      },
      destroy(error, done) {
        const end = other();
        if (!end.destroyed) end.push(null);
        done(error);
      },
    });
  const a: Duplex = make(() => b);
  const b: Duplex = make(() => a);
  return [a, b];
}

type Waiter = { want: (packet: Packet) => boolean; resolve: (packet: Packet) => void };
type Connect = Partial<Extract<Packet, { cmd: 'connect' }>>;

const WAIT = 2000;

/** A client for tests: it sends packets and lets a test wait for what comes back. */
export class TestClient {
  readonly stream: Duplex;
  readonly version: 3 | 4 | 5;
  readonly received: Packet[] = [];
  /** Packets as they came, byte for byte, also those that were taken. */
  readonly frames: Buffer[] = [];
  closed = false;
  private lastId = 0;
  private readonly waiters: Waiter[] = [];
  private readonly ends: (() => void)[] = [];

  constructor(broker: Broker, version: 3 | 4 | 5 = 4, local = true) {
    const [near, far] = duplexPair();
    this.stream = near;
    this.version = version;
    const parser = mqtt.parser({ protocolVersion: version });
    parser.on('packet', (packet: Packet) => this.take(packet));
    const reader = new FrameReader(2 ** 28, {
      take: (data, start, end) => {
        this.frames.push(Buffer.from(data.subarray(start, end)));
        return end;
      },
    });
    near.on('data', (chunk: Buffer) => {
      reader.push(chunk);
      parser.parse(chunk);
    });
    near.on('error', () => {});
    const end = (): void => {
      this.closed = true;
      for (const resolve of this.ends) resolve();
    };
    near.on('end', end);
    near.on('close', end);
    broker.attach(far, { address: 'test', local });
  }

  send(packet: Packet): void {
    this.stream.write(mqtt.generate(packet, { protocolVersion: this.version }));
  }

  /** Sends bytes of which mqtt-packet would make no packet. */
  write(bytes: Buffer): void {
    this.stream.write(bytes);
  }

  /** Connects and waits for CONNACK. */
  connect(clientId: string, options: Connect = {}): Promise<IConnackPacket> {
    this.send({ cmd: 'connect', clientId, clean: true, keepalive: 0, ...this.protocol(), ...options });
    return this.next('connack');
  }

  subscribe(
    topic: string,
    qos: 0 | 1 | 2 = 0,
    more: object = {},
    properties?: object,
  ): Promise<ISubackPacket> {
    const packet = { cmd: 'subscribe', messageId: 1, subscriptions: [{ topic, qos, ...more }] };
    this.send({ ...packet, ...(properties ? { properties } : {}) } as Packet);
    return this.next('suback');
  }

  /** Publishes with QoS 1 or 2 and goes through with it.
   * @returns the reason code of PUBACK or PUBREC */
  async deliver(topic: string, payload: string, more: Partial<IPublishPacket> = {}): Promise<number> {
    const messageId = ++this.lastId;
    this.publish(topic, payload, { qos: 1, messageId, ...more });
    if (more.qos !== 2) return Number((await this.next('puback')).reasonCode ?? 0);
    const code = Number((await this.next('pubrec')).reasonCode ?? 0);
    if (code >= 0x80) return code;
    this.send({ cmd: 'pubrel', messageId });
    await this.next('pubcomp');
    return code;
  }

  /** Topics and payloads of the messages that have come, `topic payload`. */
  async messages(): Promise<string[]> {
    await this.settled();
    const came = this.received.filter((packet) => packet.cmd === 'publish');
    return came.map(({ topic, payload }) => `${topic} ${payload.toString()}`);
  }

  publish(topic: string, payload: string, more: Partial<IPublishPacket> = {}): void {
    this.send({ cmd: 'publish', topic, payload, qos: 0, retain: false, dup: false, ...more });
  }

  /** The next packet of a kind that has not been taken yet, now or within two seconds. */
  next<Cmd extends Packet['cmd']>(cmd: Cmd): Promise<Extract<Packet, { cmd: Cmd }>> {
    const want = (packet: Packet): boolean => packet.cmd === cmd;
    const at = this.received.findIndex(want);
    const found = this.received[at];
    if (found) {
      this.received.splice(at, 1);
      return Promise.resolve(found as Extract<Packet, { cmd: Cmd }>);
    }
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no ${cmd} came`)), WAIT);
      this.waiters.push({
        want,
        resolve: (packet) => {
          clearTimeout(timer);
          resolve(packet as Extract<Packet, { cmd: Cmd }>);
        },
      });
    });
  }

  /** Waits for the broker to end the connection. */
  ended(): Promise<void> {
    if (this.closed) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error('the connection stays open')), WAIT);
      this.ends.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  /** A round trip: everything sent before has been handled when it resolves. */
  async settled(): Promise<void> {
    this.send({ cmd: 'pingreq' });
    await this.next('pingresp');
  }

  /** Drops the connection without DISCONNECT. */
  drop(): void {
    this.stream.destroy();
  }

  private protocol(): { protocolId: 'MQTT' | 'MQIsdp'; protocolVersion: 3 | 4 | 5 } {
    return { protocolId: this.version === 3 ? 'MQIsdp' : 'MQTT', protocolVersion: this.version };
  }

  private take(packet: Packet): void {
    const at = this.waiters.findIndex((waiter) => waiter.want(packet));
    if (at < 0) this.received.push(packet);
    else this.waiters.splice(at, 1)[0]?.resolve(packet);
  }
}
