import { PushError } from '../channel.ts';
import type { PushSocket } from './socket.ts';

export type Publication = {
  readonly topic: string;
  readonly payload: Buffer;
  readonly qos: 0 | 1 | 2;
  readonly retain: boolean;
};

/** Messages under way; mosquitto closes the connection when there are more than twenty. */
const WINDOW = 10;

const CONNECT = 0x10;
const CONNACK = 2;
const PUBLISH = 0x30;
const PUBACK = 4;
const PUBREC = 5;
const PUBREL = 0x62;
const PUBCOMP = 7;
const PINGREQ = 0xc0;
const PINGRESP = 13;
const DISCONNECT = 0xe0;

/** Return codes of CONNACK. [MQTT-3.2.2] */
const refusals: Readonly<Record<number, string>> = {
  1: 'it does not speak MQTT 3.1.1',
  2: 'it does not like the client id',
  3: 'it is not available',
  4: 'user name or password are wrong: set modules.push.credentials',
  5: 'this client may not connect: set modules.push.credentials',
};

/** Publishes with MQTT 3.1.1 and knows what has arrived. A broker answers in the order in which it is asked, so an answer
 * to a PINGREQ says that it has read what came before: the confirmation of QoS 0. */
export class MqttPublisher {
  private readonly socket: PushSocket;
  /** Packet ids under way. */
  private readonly waiting = new Set<number>();
  private lastId = 0;

  constructor(socket: PushSocket) {
    this.socket = socket;
  }

  /** @throws PushError away */
  async logIn(client: { clientId: string; userName: string; password: string }): Promise<void> {
    const { clientId, userName, password } = client;
    const flags = 2 | (userName ? 0x80 : 0) | (userName && password ? 0x40 : 0);
    const login = userName ? [field(userName), ...(password ? [field(password)] : [])] : [];
    // Keep alive 0: values come often enough to notice a broker that has gone.
    const header = Buffer.concat([field('MQTT'), Buffer.of(4, flags, 0, 0)]);
    this.socket.write(packet(CONNECT, header, field(clientId), ...login));
    const { type, body } = await this.read();
    if (type !== CONNACK) throw new PushError('away', 'what answers is no MQTT broker');
    const code = body[1] ?? 0;
    if (code !== 0) throw new PushError('away', `the broker refuses: ${refusals[code] ?? `code ${code}`}`);
  }

  /** Resolves when all have arrived. @throws PushError away */
  async publish(messages: readonly Publication[]): Promise<void> {
    for (const message of messages) {
      while (this.waiting.size >= WINDOW) await this.hear();
      const id = message.qos > 0 ? this.nextId() : undefined;
      if (id !== undefined) this.waiting.add(id);
      this.socket.write(encode(message, id));
    }
    this.socket.write(packet(PINGREQ));
    for (let isRead = false; !isRead || this.waiting.size > 0; )
      isRead = (await this.hear()) === PINGRESP || isRead;
  }

  /** Reads one packet. @returns its type */
  private async hear(): Promise<number> {
    const { type, body } = await this.read();
    if (type === PUBREC) this.socket.write(packet(PUBREL, body.subarray(0, 2)));
    else if (type === PUBACK || type === PUBCOMP) this.waiting.delete(body.readUInt16BE(0));
    return type;
  }

  close(): void {
    this.socket.write(packet(DISCONNECT));
    this.socket.close();
  }

  private nextId(): number {
    this.lastId = (this.lastId % 0xffff) + 1;
    return this.lastId;
  }

  private async read(): Promise<{ type: number; body: Buffer }> {
    const first = (await this.socket.read(1))[0] ?? 0;
    let length = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = (await this.socket.read(1))[0] ?? 0;
      length += (byte & 0x7f) * scale;
      if (byte < 0x80) break;
      if (scale > 128) throw new PushError('away', 'the broker sends what nobody asked for');
    }
    return { type: first >> 4, body: await this.socket.read(length) };
  }
}

function encode({ topic, payload, qos, retain }: Publication, id: number | undefined): Buffer {
  const head = PUBLISH | (qos << 1) | (retain ? 1 : 0);
  const number = id === undefined ? Buffer.alloc(0) : Buffer.of(id >> 8, id & 0xff);
  return packet(head, field(topic), number, payload);
}

function field(text: string): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([Buffer.of(bytes.length >> 8, bytes.length & 0xff), bytes]);
}

function packet(head: number, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  const length: number[] = [];
  for (let rest = body.length; ; ) {
    const low = rest % 128;
    rest = Math.floor(rest / 128);
    length.push(rest > 0 ? low | 0x80 : low);
    if (rest === 0) break;
  }
  return Buffer.concat([Buffer.of(head, ...length), body]);
}
