import { connect, type Socket } from 'node:net';
import mqtt, { type Packet } from 'mqtt-packet';
import { until } from '../program.ts';

/** How soon it tries again. */
const RETRY = 50;

/** A client that keeps its session, comes back to it, and takes QoS 2 by the letter: what a packet id stands for counts once
 * until the broker has released it. (mosquitto_sub keeps a second copy of what is sent again, and hands it on under that id's
 * next message.) */
export class Keeper {
  /** Payloads, in order. */
  readonly received: string[] = [];
  private readonly port: number;
  private readonly id: string;
  private readonly filter: string;
  private readonly held = new Set<number>();
  private socket: Socket | undefined;
  private isSubscribed = false;
  private isEnded = false;

  constructor(port: number, id: string, filter: string) {
    this.port = port;
    this.id = id;
    this.filter = filter;
    this.dial();
  }

  async subscribed(): Promise<void> {
    await until(`${this.id} is subscribed`, () => this.isSubscribed);
  }

  end(): void {
    this.isEnded = true;
    this.socket?.destroy();
  }

  private dial(): void {
    const socket = connect(this.port, '127.0.0.1');
    const parser = mqtt.parser({ protocolVersion: 4 });
    this.socket = socket;
    parser.on('packet', (packet: Packet) => this.take(packet));
    socket.on('connect', () =>
      this.send({ cmd: 'connect', clientId: this.id, clean: false, keepalive: 0, protocolVersion: 4 }),
    );
    socket.on('data', (chunk) => parser.parse(chunk));
    socket.on('error', () => {});
    socket.on('close', () => {
      if (!this.isEnded) setTimeout(() => this.isEnded || this.dial(), RETRY);
    });
  }

  private send(packet: Packet): void {
    this.socket?.write(mqtt.generate(packet, { protocolVersion: 4 }));
  }

  private take(packet: Packet): void {
    const messageId = packet.messageId ?? 0;
    switch (packet.cmd) {
      case 'connack':
        if (!packet.sessionPresent) this.held.clear();
        this.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: this.filter, qos: 2 }] });
        break;
      case 'suback':
        this.isSubscribed = true;
        break;
      case 'publish':
        if (packet.qos < 2 || !this.held.has(messageId)) this.received.push(packet.payload.toString());
        if (packet.qos === 2) this.held.add(messageId);
        if (packet.qos > 0) this.send({ cmd: packet.qos === 1 ? 'puback' : 'pubrec', messageId });
        break;
      case 'pubrel':
        this.held.delete(messageId);
        this.send({ cmd: 'pubcomp', messageId });
        break;
      default:
        throw new Error(`${packet.cmd} from a broker`);
    }
  }
}
