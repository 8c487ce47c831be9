import { connect, type Socket } from 'node:net';
import mqtt, { type Packet } from 'mqtt-packet';

/** A socket that says what a test tells it, and no more. */
export class RawClient {
  readonly socket: Socket;
  /** Bytes that came. */
  received = 0;
  /** The beginning of what came. */
  readonly head: number[] = [];
  private readonly connected: Promise<void>;
  private readonly ended: Promise<void>;

  constructor(port: number) {
    this.socket = connect({ host: '127.0.0.1', port });
    this.socket.on('error', () => {}); // being cut off is what is looked for
    this.connected = new Promise((resolve) => this.socket.once('connect', () => resolve()));
    this.ended = new Promise((resolve) => this.socket.once('close', () => resolve()));
    this.socket.on('data', (chunk: Buffer) => {
      this.received += chunk.length;
      if (this.head.length < 64) this.head.push(...chunk.subarray(0, 64));
    });
  }

  static async open(port: number): Promise<RawClient> {
    const client = new RawClient(port);
    await Promise.race([client.connected, client.ended]);
    return client;
  }

  get isOpen(): boolean {
    return !this.socket.destroyed;
  }

  /** @returns false when the socket is full: wait for {@link drained} */
  send(...packets: (Packet | Buffer)[]): boolean {
    const parts = packets.map((packet) => (Buffer.isBuffer(packet) ? packet : mqtt.generate(packet)));
    return this.socket.write(Buffer.concat(parts));
  }

  connect(clientId: string, more: { clean?: boolean; keepalive?: number } = {}): void {
    const protocol = { protocolId: 'MQTT', protocolVersion: 4 } as const;
    this.send({ cmd: 'connect', clientId, clean: true, keepalive: 0, ...protocol, ...more });
  }

  /** It reads nothing from now on: what is sent to it fills the kernel's buffers and then those of the broker. */
  stall(): void {
    this.socket.pause();
  }

  drained(): Promise<void> {
    return Promise.race([new Promise<void>((resolve) => this.socket.once('drain', resolve)), this.ended]);
  }

  /** Resolves when the connection is gone. */
  left(): Promise<void> {
    return this.ended;
  }

  drop(): void {
    this.socket.destroy();
  }
}
