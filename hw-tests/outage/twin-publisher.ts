import { connect, type Socket } from 'node:net';
import mqtt, { type Packet } from 'mqtt-packet';

const RETRY_MS = 100;

/** Counts a property of a device up, over MQTT with QoS 1: the next value goes out when the last was acknowledged, over
 * as many connections as it takes. */
export class TwinPublisher {
  /** The last value that the node has acknowledged. */
  acknowledged = 0;
  private readonly host: string;
  private readonly port: number;
  private readonly device: string;
  private readonly property: string;
  private socket: Socket | undefined;
  private running = false;

  constructor(options: { host?: string; port: number; device: string; property: string }) {
    this.host = options.host ?? '127.0.0.1';
    this.port = options.port;
    this.device = options.device;
    this.property = options.property;
  }

  start(): void {
    this.running = true;
    this.dial();
  }

  stop(): void {
    this.running = false;
    this.socket?.destroy();
  }

  private dial(): void {
    if (!this.running) return;
    const socket = connect({ host: this.host, port: this.port, noDelay: true });
    this.socket = socket;
    const parser = mqtt.parser();
    parser.on('packet', (packet: Packet) => {
      if (this.socket === socket) this.take(packet);
    });
    parser.on('error', () => socket.destroy());
    socket.on('data', (chunk: Buffer) => parser.parse(chunk));
    socket.on('connect', () =>
      this.send({ cmd: 'connect', clientId: `count-${this.property}`, ...PROTOCOL }),
    );
    socket.on('error', () => {}); // the close that follows brings the next try
    // One that was stopped and started meanwhile has another connection already: two would take over from each other.
    socket.on('close', () => {
      if (this.socket === socket) setTimeout(() => this.socket === socket && this.dial(), RETRY_MS).unref();
    });
  }

  private take(packet: Packet): void {
    if (packet.cmd === 'puback') this.acknowledged++;
    if (packet.cmd === 'puback' || packet.cmd === 'connack') this.publish();
  }

  private publish(): void {
    if (!this.running) return;
    const next = this.acknowledged + 1;
    const twin = { [this.property]: { actual: { value: String(next) } } };
    this.send({
      cmd: 'publish',
      topic: `$hw/events/device/${this.device}/twin/update`,
      payload: JSON.stringify({ event_id: `${this.property}-${next}`, timestamp: Date.now(), twin }),
      qos: 1,
      dup: false,
      retain: false,
      messageId: (next % 65_535) + 1,
    });
  }

  private send(packet: Packet): void {
    this.socket?.write(mqtt.generate(packet));
  }
}

const PROTOCOL = { protocolId: 'MQTT', protocolVersion: 4, clean: true, keepalive: 0 } as const;
