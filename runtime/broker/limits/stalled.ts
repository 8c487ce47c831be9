import { Duplex } from 'node:stream';
import mqtt, { type Packet } from 'mqtt-packet';
import type { Broker } from '../broker.ts';

/** A client that reads nothing until it is told to: what the broker writes stays in its stream, as with a full socket. */
export class StalledClient {
  readonly stream: Duplex;
  /** What the client has read. */
  readonly read: Buffer[] = [];
  private readonly version: 4 | 5;
  private isReading = false;
  private waiting: (() => void)[] = [];

  constructor(broker: Broker, version: 4 | 5 = 4) {
    this.version = version;
    this.stream = new Duplex({
      read: () => {},
      write: (chunk: Buffer, _encoding, done) => {
        this.read.push(Buffer.from(chunk));
        if (this.isReading) done();
        else this.waiting.push(done);
      },
    });
    broker.attach(this.stream, { address: 'stalled', local: true });
  }

  /** Bytes that the broker holds for it. */
  get held(): number {
    return this.stream.writableLength;
  }

  /** False while the broker does not read from it. */
  get isHeard(): boolean {
    return !this.stream.isPaused();
  }

  send(...packets: Packet[]): void {
    const { version } = this;
    for (const packet of packets) this.stream.push(mqtt.generate(packet, { protocolVersion: version }));
  }

  connect(clientId: string, more: object = {}): void {
    const protocol = { protocolId: 'MQTT', protocolVersion: this.version } as const;
    this.send({ cmd: 'connect', clientId, clean: true, keepalive: 0, ...protocol, ...more });
  }

  /** From now on it reads. */
  resume(): void {
    this.isReading = true;
    for (const done of this.waiting.splice(0)) done();
  }
}

/** Lets what is due happen: streams need a few turns of the event loop. */
export async function turns(count = 5): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
}
