import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { createServer, type Server, type Socket } from 'node:net';
import { PlcRegisters } from './registers.ts';
import { cutRequests, type Form } from './slave-frames.ts';
import { reply, Slave } from './slaves.ts';

export type PlcOptions = {
  /** False leaves every register to the caller. */
  readonly moves?: boolean;
  /** Of each area. */
  readonly places?: number;
  /** How frames lie in the stream. */
  readonly form?: Form;
  /** [0, 1), for damage. */
  readonly random?: () => number;
};

/** A Modbus server over TCP, or UDP, that plays a small PLC; every unit id answers from the same memory, but for
 * `deadUnits`. */
export class Plc extends Slave {
  readonly deadUnits = new Set<number>();
  /** Connections that were ever made. */
  connections = 0;
  private server: Server | undefined;
  private udp: UdpSocket | undefined;
  private readonly sockets = new Set<Socket>();
  private timer: NodeJS.Timeout | undefined;
  private readonly options: PlcOptions;

  constructor(options: PlcOptions = {}) {
    super(new PlcRegisters(options.places));
    this.options = options;
  }

  /** @returns the port that it listens on; 0 picks a free one */
  start(host: string, port: number): Promise<number> {
    if (this.options.moves ?? true) this.timer = setInterval(() => this.memory.move(), 1000);
    const server = createServer((socket) => this.serve(socket));
    this.server = server;
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, host, () => {
        const address = server.address();
        resolve(typeof address === 'object' && address ? address.port : port);
      });
    });
  }

  /** The same over UDP. */
  startUdp(host: string, port: number): Promise<number> {
    const socket = createSocket('udp4');
    this.udp = socket;
    socket.on('message', (datagram, peer) =>
      this.take(datagram, (bytes) => socket.send(bytes, peer.port, peer.address)),
    );
    return new Promise((resolve, reject) => {
      socket.once('error', reject);
      socket.bind(port, host, () => resolve(socket.address().port));
    });
  }

  async stop(): Promise<void> {
    clearInterval(this.timer);
    this.dropConnections();
    const { server, udp } = this;
    this.server = undefined;
    this.udp = undefined;
    if (udp) await new Promise<void>((resolve) => udp.close(() => resolve()));
    if (server) await new Promise<void>((resolve) => server.close(() => resolve()));
  }

  /** Breaks every connection, as a restart does. */
  dropConnections(): void {
    for (const socket of this.sockets) socket.destroy();
  }

  private serve(socket: Socket): void {
    this.connections++;
    this.sockets.add(socket);
    socket.setNoDelay(true);
    let rest: Buffer = Buffer.alloc(0);
    socket.on('data', (chunk: Buffer) => {
      const left = this.take(Buffer.concat([rest, chunk]), (bytes) => socket.write(bytes));
      if (left) rest = left;
      else socket.destroy();
    });
    socket.on('error', () => {}); // a peer that is gone is no news to a PLC
    socket.on('close', () => this.sockets.delete(socket));
  }

  /** @returns what is no whole request yet, undefined for what is no Modbus */
  private take(data: Buffer, send: (bytes: Buffer) => void): Buffer | undefined {
    const { form = 'mbap', random = Math.random } = this.options;
    const cut = cutRequests(form, data);
    for (const request of cut?.requests ?? []) {
      if (this.deadUnits.has(request.unit)) continue;
      const answer = reply(this, form, request, random);
      if (!answer) continue;
      if (answer.delay > 0) setTimeout(() => send(answer.bytes), answer.delay);
      else send(answer.bytes);
    }
    return cut?.rest;
  }
}
