import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import type { Duplex } from 'node:stream';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';
import mqtt, { type IConnackPacket, type Packet } from 'mqtt-packet';
import WebSocket, { createWebSocketStream } from 'ws';
import { until } from '../program.ts';
import type { PairFiles } from './certificates.ts';

/** A bare MQTT 3.1.1 or 5 client on any byte stream. */
export class StreamClient {
  readonly stream: Duplex;
  readonly received: Packet[] = [];
  /** Why the stream failed. */
  fault = '';
  private readonly version: 4 | 5;

  constructor(stream: Duplex, version: 4 | 5 = 4) {
    this.stream = stream;
    this.version = version;
    const parser = mqtt.parser({ protocolVersion: version });
    parser.on('packet', (packet: Packet) => this.received.push(packet));
    stream.on('data', (chunk: Buffer) => parser.parse(chunk));
    stream.on('error', (error) => {
      this.fault = error.message;
    });
  }

  get ended(): boolean {
    return this.stream.closed || this.stream.readableEnded;
  }

  send(packet: Packet): void {
    this.stream.write(this.bytesOf(packet));
  }

  bytesOf(packet: Packet): Buffer {
    return mqtt.generate(packet, { protocolVersion: this.version });
  }

  /** @returns the answer to CONNECT */
  async connect(clientId: string): Promise<IConnackPacket> {
    const { version } = this;
    this.send({
      cmd: 'connect',
      clientId,
      clean: true,
      keepalive: 0,
      protocolId: 'MQTT',
      protocolVersion: version,
    });
    return (await this.next('connack')) as IConnackPacket;
  }

  async next(cmd: Packet['cmd']): Promise<Packet> {
    const found = (): Packet | undefined => this.received.find((packet) => packet.cmd === cmd);
    await until(`${cmd} comes`, () => found() !== undefined || this.ended);
    const packet = found();
    if (!packet) throw new Error(`no ${cmd}: the connection has ended ${this.fault}`);
    this.received.splice(this.received.indexOf(packet), 1);
    return packet;
  }

  /** A round trip. */
  async ping(): Promise<void> {
    this.send({ cmd: 'pingreq' });
    await this.next('pingresp');
  }

  async endsByItself(): Promise<void> {
    await until('the broker ends the connection', () => this.ended);
  }

  close(): void {
    this.stream.destroy();
  }
}

export function overTcp(port: number, version: 4 | 5 = 4): StreamClient {
  return new StreamClient(connect(port, '127.0.0.1'), version);
}

export function overUnix(path: string): StreamClient {
  return new StreamClient(connect(path));
}

/** @param caFile whom the client trusts @param pair its own certificate */
export function overTls(
  port: number,
  caFile: string,
  pair?: PairFiles,
  more: ConnectionOptions = {},
  version: 4 | 5 = 4,
): StreamClient {
  const own = pair ? { cert: readFileSync(pair.cert), key: readFileSync(pair.key) } : {};
  const socket = connectTls({ host: '127.0.0.1', port, ca: readFileSync(caFile), ...own, ...more });
  return new StreamClient(socket, version);
}

export function overWebSocket(
  port: number,
  headers: Readonly<Record<string, string>> = {},
  version: 4 | 5 = 4,
): StreamClient {
  const webSocket = new WebSocket(`ws://127.0.0.1:${port}/mqtt`, ['mqtt'], { headers });
  return new StreamClient(createWebSocketStream(webSocket), version);
}
