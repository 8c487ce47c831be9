import mqtt, { type Packet } from 'mqtt-packet';
import type { Broker } from '../broker.ts';
import { frameSize } from '../frame.ts';
import { PublishFrame } from '../publish-frame.ts';
import { TestClient } from '../test-client.ts';
import { isTopic } from '../topics.ts';
import { faultOf } from './fault-of.ts';
import { Wire } from './wire.ts';

/** A well-behaved client beside the broken ones, which exchanges messages with itself. */
export class Neighbour {
  readonly client: TestClient;
  private readonly name: string;
  private count = 0;

  constructor(broker: Broker, version: 3 | 4 | 5) {
    this.client = new TestClient(broker, version);
    this.name = `neighbour-${version}`;
  }

  async start(): Promise<void> {
    await this.client.connect(this.name);
    await this.client.subscribe(`neighbours/${this.name}`, 1);
  }

  /** One message with QoS 1 to itself. @throws Error when it, or anything else, is not as it should be */
  async exchange(): Promise<void> {
    const { client } = this;
    const text = `message ${++this.count}`;
    client.publish(`neighbours/${this.name}`, text, { qos: 1, messageId: 1 + (this.count % 100) });
    const [message, puback] = await Promise.all([client.next('publish'), client.next('puback')]);
    client.send({ cmd: 'puback', messageId: message.messageId ?? 0 });
    if (message.payload.toString() !== text) throw new Error(`${this.name} got ${message.payload}`);
    if (puback.messageId !== 1 + (this.count % 100)) throw new Error(`${this.name} got another PUBACK`);
    if (client.received.length > 0) throw new Error(`${this.name} got ${client.received[0]?.cmd}`);
    if (client.closed) throw new Error(`${this.name} was closed`);
  }
}

/** A client that subscribes to everything, and looks whether what the broken ones publish reaches others unbroken. */
export class Witness {
  readonly wire = new Wire();
  /** What was wrong with what it got. */
  fault: string | undefined;
  messages = 0;
  private readonly version: 4 | 5;
  private readonly publish = new PublishFrame();

  constructor(broker: Broker, version: 4 | 5) {
    this.version = version;
    broker.attach(this.wire, { address: 'witness', local: true });
  }

  start(): void {
    const { version } = this;
    const clientId = `witness-${version}`;
    const connect = { cmd: 'connect', protocolId: 'MQTT', protocolVersion: version, clientId } as const;
    this.send({ ...connect, clean: true, keepalive: 0 });
    this.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: '#', qos: 2 }] });
  }

  /** Looks at what came, and acknowledges it. */
  look(): void {
    const bytes = Buffer.concat(this.wire.sent.splice(0));
    for (let at = 0; at < bytes.length; ) {
      const size = frameSize(bytes, at, bytes.length);
      if (size <= 0 || at + size > bytes.length) return this.note('half a packet', bytes);
      this.take(bytes.subarray(at, at + size));
      at += size;
    }
    if (this.wire.isEnded) this.fault ??= 'the witness was closed';
  }

  private take(frame: Buffer): void {
    const type = (frame[0] as number) >> 4;
    if (type === 6) this.answer(0x70, frame);
    if (type !== 3) return;
    this.messages++;
    const wrong = faultOf(frame, this.version);
    if (wrong !== undefined) return this.note(wrong, frame);
    if (!this.publish.read(frame, 0, frame.length, this.version === 5)) return this.note('malformed', frame);
    const { topicStart, topicEnd, qos, id } = this.publish;
    if (!isTopic(frame.toString('utf8', topicStart, topicEnd), 64)) this.note('no topic', frame);
    if (qos > 0) this.wire.bring(Buffer.of(qos === 1 ? 0x40 : 0x50, 2, id >> 8, id & 0xff));
  }

  private answer(first: number, { 2: high = 0, 3: low = 0 }: Buffer): void {
    this.wire.bring(Buffer.of(first, 2, high, low));
  }

  private send(packet: Packet): void {
    this.wire.bring(mqtt.generate(packet, { protocolVersion: this.version }));
  }

  private note(what: string, bytes: Buffer): void {
    this.fault ??= `${what}: ${bytes.toString('hex')}`;
  }
}
