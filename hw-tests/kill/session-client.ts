import { connect, type Socket } from 'node:net';
import mqtt, { type IConnackPacket, type IPublishPacket, type Packet } from 'mqtt-packet';

export type Delivery = { readonly topic: string; readonly payload: Buffer; readonly qos: 0 | 1 | 2 };
export type Outbound = {
  readonly topic: string;
  readonly payload: Buffer;
  readonly qos: 1 | 2;
  readonly retain: boolean;
};

export type SessionClientOptions = {
  readonly port: number;
  readonly clientId: string;
  readonly version: 4 | 5;
  /** Asked for once, because the session keeps them. */
  readonly filters?: readonly { readonly topic: string; readonly qos: 1 | 2 }[];
  readonly receiveMaximum?: number;
  /** The application: what reaches it has reached the user. */
  readonly deliver?: (delivery: Delivery) => void;
  /** What a broker must not do. */
  readonly fault: (what: string) => void;
};

/** A message of this client on its way: what of it is to be sent again after a reconnect. */
type Exchange = {
  readonly message: Outbound;
  step: 'publish' | 'pubrel';
  sent: boolean;
  readonly done: () => void;
};

/** ms between attempts; the first one after a connection comes at once. */
const RECONNECT = 15;
const SESSION_EXPIRY = 86_400;

/** An MQTT client whose session outlives its connections, as the specification wants it: it sends again what was not
 * acknowledged, in its order, and hands each QoS 2 message on once. @source MQTT 5 §4.1, §4.3, §4.4 */
export class SessionClient {
  readonly clientId: string;
  /** Has the broker's answer that the subscriptions are kept. */
  subscribed: boolean;
  isOnline = false;
  private readonly options: SessionClientOptions;
  private readonly exchanges = new Map<number, Exchange>();
  private readonly received = new Set<number>();
  private socket: Socket | undefined;
  private timer: NodeJS.Timeout | undefined;
  private wanted = false;
  private isRefused = false;
  /** The broker has acknowledged something: the session is on its disk. */
  private isKept = false;
  private readonly pings: (() => void)[] = [];

  constructor(options: SessionClientOptions) {
    this.options = options;
    this.clientId = options.clientId;
    this.subscribed = options.filters === undefined;
  }

  /** Messages that are not acknowledged. */
  get pending(): number {
    return this.exchanges.size;
  }

  /** Connects, and again whenever the connection ends. */
  start(): void {
    this.wanted = true;
    this.open();
  }

  /** The network fails for a moment. */
  drop(): void {
    this.socket?.destroy();
  }

  /** Ends the connection; the session stays.
   * @param politely with DISCONNECT */
  stop(politely: boolean): void {
    this.wanted = false;
    clearTimeout(this.timer);
    this.timer = undefined;
    if (politely && this.isOnline) {
      this.send({ cmd: 'disconnect' });
      this.socket?.end();
    } else this.socket?.destroy();
    this.isOnline = false;
  }

  /** @returns resolves when the broker has acknowledged it: PUBACK, or PUBCOMP */
  publish(message: Outbound): Promise<void> {
    // The lowest that is free: an id that the broker still holds would soon meet another message.
    let id = 1;
    while (this.exchanges.has(id)) id++;
    return new Promise((done) => {
      const exchange: Exchange = { message, step: 'publish', sent: false, done };
      this.exchanges.set(id, exchange);
      if (this.isOnline) this.advance(id, exchange);
    });
  }

  /** Everything that the broker sent before it answered has been taken; at once when there is no connection. */
  roundTrip(): Promise<void> {
    if (!this.isOnline) return Promise.resolve();
    return new Promise((resolve) => {
      this.pings.push(resolve);
      this.send({ cmd: 'pingreq' });
    });
  }

  private open(): void {
    const { port, version } = this.options;
    const socket = connect(port, '127.0.0.1');
    const parser = mqtt.parser({ protocolVersion: version });
    this.socket = socket;
    parser.on('packet', (packet: Packet) => {
      if (this.socket === socket) this.take(packet);
    });
    parser.on('error', (error: Error) => {
      this.options.fault(`${this.clientId}: what came is no MQTT: ${error.message}`);
      socket.destroy();
    });
    socket.setNoDelay(true);
    socket.on('connect', () => {
      this.isRefused = false;
      this.send(this.connectPacket());
    });
    socket.on('data', (chunk: Buffer) => parser.parse(chunk));
    socket.on('error', () => {}); // 'close' follows
    socket.on('close', () => {
      if (this.socket !== socket) return;
      this.isOnline = false;
      for (const resolve of this.pings.splice(0)) resolve();
      if (this.wanted) this.timer = setTimeout(() => this.open(), this.isRefused ? RECONNECT : 0);
      this.isRefused = true;
    });
  }

  private connectPacket(): Packet {
    const { clientId, version, receiveMaximum } = this.options;
    const five = {
      sessionExpiryInterval: SESSION_EXPIRY,
      ...(receiveMaximum ? { receiveMaximum } : {}),
    };
    return {
      cmd: 'connect',
      protocolId: 'MQTT',
      protocolVersion: version,
      clean: false,
      clientId,
      keepalive: 0,
      ...(version === 5 ? { properties: five } : {}),
    };
  }

  private send(packet: Packet): void {
    if (this.socket && !this.socket.destroyed)
      this.socket.write(mqtt.generate(packet, { protocolVersion: this.options.version }));
  }

  private take(packet: Packet): void {
    const id = 'messageId' in packet ? (packet.messageId ?? 0) : 0;
    switch (packet.cmd) {
      case 'connack':
        return this.connected(packet);
      case 'suback':
        this.subscribed = true;
        this.isKept = true;
        return;
      case 'publish':
        return this.takePublish(packet, id);
      case 'pubrel':
        this.received.delete(id);
        return this.send({ cmd: 'pubcomp', messageId: id });
      case 'puback':
      case 'pubcomp':
        return this.finish(id, packet.cmd, Number(packet.reasonCode ?? 0));
      case 'pubrec':
        return this.takePubrec(id, Number(packet.reasonCode ?? 0));
      case 'pingresp':
        return this.pings.shift()?.();
      default: // DISCONNECT: the broker stops
    }
  }

  private connected({ sessionPresent, returnCode, reasonCode }: IConnackPacket): void {
    const code = reasonCode ?? returnCode ?? 0;
    if (code !== 0) return this.options.fault(`${this.clientId}: refused with ${code}`);
    if (!sessionPresent && this.isKept)
      this.options.fault(`${this.clientId}: the broker has lost its session`);
    this.isOnline = true;
    const { filters } = this.options;
    if (filters && !this.subscribed)
      this.send({
        cmd: 'subscribe',
        messageId: 1,
        subscriptions: filters.map(({ topic, qos }) => ({ topic, qos })),
      });
    for (const [id, exchange] of this.exchanges) this.advance(id, exchange);
  }

  private advance(id: number, exchange: Exchange): void {
    if (exchange.step === 'pubrel') return this.send({ cmd: 'pubrel', messageId: id });
    const dup = exchange.sent;
    exchange.sent = true;
    this.send({ cmd: 'publish', messageId: id, dup, ...exchange.message });
  }

  private takePublish({ topic, payload, qos }: IPublishPacket, id: number): void {
    const isNew = qos < 2 || !this.received.has(id);
    if (qos === 2) this.received.add(id);
    if (isNew) this.options.deliver?.({ topic, payload: Buffer.from(payload), qos });
    if (qos > 0) this.send({ cmd: qos === 1 ? 'puback' : 'pubrec', messageId: id });
  }

  private takePubrec(id: number, code: number): void {
    const exchange = this.exchanges.get(id);
    if (exchange && code < 0x80) exchange.step = 'pubrel';
    if (code >= 0x80) this.finish(id, 'pubrec', code);
    else this.send({ cmd: 'pubrel', messageId: id });
  }

  private finish(id: number, by: string, code: number): void {
    const exchange = this.exchanges.get(id);
    if (!exchange) return;
    // "Packet identifier not found" ends an exchange whose end the client did not hear of.
    if (code >= 0x80 && !(by === 'pubcomp' && code === 0x92))
      this.options.fault(`${this.clientId}: ${by} with ${code.toString(16)}`);
    this.exchanges.delete(id);
    this.isKept = true;
    exchange.done();
  }
}
