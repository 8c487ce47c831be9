import { connect, type Socket } from 'node:net';
import mqtt, { type Packet } from 'mqtt-packet';

export type LoadOptions = {
  readonly port: number;
  readonly clientId: string;
  readonly clean?: boolean;
  /** Seconds; 0 for none. */
  readonly keepalive?: number;
};

/** Packet types; `type << 4` is the first byte. @source MQTT 3.1.1 §2.2.1 */
const PUBLISH = 3;
const PUBACK = 4;
const PUBREC = 5;
const PUBREL = 6;
const PUBCOMP = 7;

/** A client that makes load: what it sends is encoded beforehand, and what it receives is cut, counted and
 * acknowledged, nothing more, so that the broker is what is measured. */
export class LoadClient {
  /** PUBLISH packets that came. */
  received = 0;
  /** QoS 1 and 2 messages of ours that are through: PUBACK or PUBCOMP. */
  acked = 0;
  /** Called with each PUBLISH packet, whole, for who wants to look into it. */
  onPublish: ((packet: Buffer) => void) | undefined;
  /** Called after each chunk that came. */
  onProgress: () => void = () => {};
  private readonly socket: Socket;
  private rest: Buffer | undefined;
  private answer: ((type: number) => void) | undefined;
  private lastId = 0;
  private template: Buffer | undefined;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => this.read(chunk));
    socket.on('error', (error) => process.stderr.write(`load client: ${error.message}\n`));
  }

  static async connect({ port, clientId, clean = true, keepalive = 0 }: LoadOptions): Promise<LoadClient> {
    const socket = connect({ host: '127.0.0.1', port });
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', () => resolve());
      socket.once('error', reject);
    });
    const client = new LoadClient(socket);
    await client.ask({ cmd: 'connect', clientId, clean, keepalive, protocolId: 'MQTT', protocolVersion: 4 });
    return client;
  }

  async subscribe(topic: string, qos: 0 | 1 | 2): Promise<void> {
    await this.ask({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic, qos }] });
  }

  /** Prepares the message that {@link publish} sends. */
  prepare(topic: string, payload: Buffer, qos: 0 | 1 | 2, retain = false): void {
    this.template = mqtt.generate({
      cmd: 'publish',
      topic,
      payload,
      qos,
      retain,
      dup: false,
      ...(qos > 0 ? { messageId: 1 } : {}),
    });
    this.idAt = qos > 0 ? this.template.length - payload.length - 2 : 0;
  }

  private idAt = 0;

  /** Sends the prepared message `count` times in one write.
   * @returns false when the socket is full: wait for {@link drained} */
  publish(count: number): boolean {
    const { template } = this;
    if (!template) throw new Error('prepare comes first');
    const batch = Buffer.allocUnsafe(template.length * count);
    for (let i = 0; i < count; i++) {
      const at = i * template.length;
      template.copy(batch, at);
      if (this.idAt > 0) batch.writeUInt16BE(this.nextId(), at + this.idAt);
    }
    return this.socket.write(batch);
  }

  drained(): Promise<void> {
    return new Promise((resolve) => this.socket.once('drain', () => resolve()));
  }

  close(): void {
    this.socket.destroy();
  }

  private nextId(): number {
    this.lastId = (this.lastId % 65_535) + 1;
    return this.lastId;
  }

  private ask(packet: Packet): Promise<number> {
    this.socket.write(mqtt.generate(packet));
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no answer to ${packet.cmd}`)), 10_000);
      this.answer = (type) => {
        clearTimeout(timer);
        resolve(type);
      };
    });
  }

  private read(chunk: Buffer): void {
    const data = this.rest ? Buffer.concat([this.rest, chunk]) : chunk;
    const replies: number[] = [];
    let at = 0;
    for (;;) {
      const size = frameSize(data, at);
      if (size === 0 || at + size > data.length) break;
      this.take(data, at, replies);
      if (this.onPublish && (data[at] ?? 0) >> 4 === PUBLISH) this.onPublish(data.subarray(at, at + size));
      at += size;
    }
    this.rest = at < data.length ? data.subarray(at) : undefined;
    if (replies.length > 0) this.socket.write(Buffer.from(replies));
    this.onProgress();
  }

  private take(data: Buffer, at: number, replies: number[]): void {
    const first = data[at] ?? 0;
    const type = first >> 4;
    switch (type) {
      case PUBLISH: {
        this.received++;
        const qos = (first >> 1) & 3;
        if (qos === 0) break;
        let body = at + 1;
        while ((data[body] ?? 0) & 0x80) body++;
        body++;
        const idAt = body + 2 + data.readUInt16BE(body);
        replies.push((qos === 1 ? PUBACK : PUBREC) << 4, 2, data[idAt] ?? 0, data[idAt + 1] ?? 0);
        break;
      }
      case PUBREC: // the flags of a PUBREL are 2
        replies.push((PUBREL << 4) | 2, 2, data[at + 2] ?? 0, data[at + 3] ?? 0);
        break;
      case PUBREL:
        replies.push(PUBCOMP << 4, 2, data[at + 2] ?? 0, data[at + 3] ?? 0);
        break;
      case PUBACK:
      case PUBCOMP:
        this.acked++;
        break;
      default: {
        const { answer } = this;
        this.answer = undefined;
        answer?.(type);
      }
    }
  }
}

/** @returns the whole size of the packet at `at`, 0 while its length is not all there */
function frameSize(data: Buffer, at: number): number {
  let length = 0;
  for (let i = 1; i <= 4; i++) {
    const byte = data[at + i];
    if (byte === undefined) return 0;
    length += (byte & 0x7f) * 128 ** (i - 1);
    if (byte < 128) return 1 + i + length;
  }
  throw new Error('the broker sent what is no MQTT packet');
}
