import { createServer, type Server, type Socket } from 'node:net';
import { splitHostPort } from '../../runtime/core/address.ts';
import type { Logger } from '../../runtime/core/log.ts';
import type { MetricSource } from '../../runtime/core/metrics.ts';
import type { Module } from '../../runtime/core/module.ts';
import { listen } from '../../runtime/wire/listen.ts';
import { answerPdu, exceptionPdu } from './answer.ts';
import { TwinBank, type TwinSource } from './server-bank.ts';
import type { ModbusServerConfig } from './server-config.ts';

export type ModbusServerDeps = {
  readonly config: ModbusServerConfig;
  readonly twins: TwinSource;
  readonly log: Logger;
  readonly metrics: MetricSource;
  /** Of edgecore, for masters that ask who answers. */
  readonly version: string;
};

/** Transaction, protocol, length, unit. @source MODBUS Messaging on TCP/IP V1.0b §3.1.3 */
const HEADER = 7;
const LONGEST = 260;
const SHORTEST = 8;
/** A master that asks nothing for so long has gone without a word. */
const IDLE = 600_000;
const KEEPALIVE = 30_000;
/** Answers that a master does not take; beyond it is let go. */
const MOST_UNSENT = 65_536;
const GATEWAY_PATH_UNAVAILABLE = 10;

/** Offers twins to a SCADA as the registers of Modbus TCP devices, one for each unit id. */
export class ModbusServer implements Module {
  readonly name = 'modbusserver';
  private readonly deps: ModbusServerDeps;
  private readonly log: Logger;
  private readonly banks = new Map<number, TwinBank>();
  private readonly sockets = new Set<Socket>();
  private server: Server | undefined;

  constructor(deps: ModbusServerDeps) {
    const { config, twins, metrics, version } = deps;
    this.deps = deps;
    this.log = deps.log.child('modbusserver');
    const identification = new Map([
      [0, 'edgecore'],
      [1, 'edgecore'],
      [2, version],
    ]);
    for (const unit of new Set(config.registers.map((register) => register.unit))) {
      const registers = config.registers.filter((register) => register.unit === unit);
      const refused = ({ device, property }: { device: string; property: string }, reason: string): void =>
        this.log.warn('a master wrote what cannot be', { device, property, reason });
      this.banks.set(
        unit,
        new TwinBank({ registers, twins, whenAway: config.whenAway, identification, refused }),
      );
    }
    const help = 'Masters that are connected to the Modbus server.';
    metrics.gauge('edgecore_modbus_server_connections', help, () => this.sockets.size);
  }

  /** The port that it listens on, once started. */
  get port(): number {
    const address = this.server?.address();
    return typeof address === 'object' && address ? address.port : 0;
  }

  /** @throws EdgeError PORT_TAKEN, PORT_UNUSABLE */
  async start(): Promise<void> {
    const { host, port } = splitHostPort(this.deps.config.address);
    this.server = createServer((socket) => this.accept(socket));
    await listen(this.server, 'Modbus server', host, port);
  }

  async stop(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    const { server } = this;
    if (server?.listening) await new Promise<void>((resolve) => server.close(() => resolve()));
  }

  private accept(socket: Socket): void {
    if (this.sockets.size >= this.deps.config.maxConnections) {
      this.log.warn('a master was refused', {
        reason: `${this.sockets.size} are connected: see maxConnections`,
      });
      socket.destroy();
      return;
    }
    this.sockets.add(socket);
    socket.setNoDelay(true);
    socket.setKeepAlive(true, KEEPALIVE);
    socket.setTimeout(IDLE, () => socket.destroy());
    let rest: Buffer = Buffer.alloc(0);
    socket.on('data', (chunk: Buffer) => {
      const left = this.take(socket, rest.length === 0 ? chunk : Buffer.concat([rest, chunk]));
      if (left && socket.writableLength < MOST_UNSENT) rest = left;
      else socket.destroy();
    });
    socket.on('error', () => {}); // it closes
    socket.on('close', () => this.sockets.delete(socket));
  }

  /** Answers the requests that are whole.
   * @returns what is left, undefined for what is no Modbus */
  private take(socket: Socket, data: Buffer): Buffer | undefined {
    let rest = data;
    while (rest.length >= HEADER) {
      const size = 6 + rest.readUInt16BE(4);
      if (rest.readUInt16BE(2) !== 0 || size < SHORTEST || size > LONGEST) return undefined;
      if (rest.length < size) break;
      const pdu = rest.subarray(HEADER, size);
      const bank = this.banks.get(rest[6] ?? 0);
      const answer = bank ? answerPdu(pdu, bank) : exceptionPdu(pdu[0] ?? 0, GATEWAY_PATH_UNAVAILABLE);
      const frame = Buffer.allocUnsafe(HEADER + answer.length);
      rest.copy(frame, 0, 0, HEADER);
      frame.writeUInt16BE(answer.length + 1, 4);
      answer.copy(frame, HEADER);
      socket.write(frame);
      rest = rest.subarray(size);
    }
    return rest;
  }
}
