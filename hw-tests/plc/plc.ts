import { createServer, type Server, type Socket } from 'node:net';
import { answerPdu } from '../../mappers/modbus/answer.ts';
import { PlcRegisters } from './registers.ts';

/** How the PLC misbehaves, for tests. */
export type PlcFault = 'none' | 'silent' | 'exception' | 'garbage';

const HEADER = 7;

/** A Modbus TCP server that plays a small PLC; every unit id answers from the same memory, but for `deadUnits`. */
export class Plc {
  readonly memory = new PlcRegisters();
  fault: PlcFault = 'none';
  readonly deadUnits = new Set<number>();
  /** Requests answered, of any unit. */
  requests = 0;
  private server: Server | undefined;
  private readonly sockets = new Set<Socket>();
  private timer: NodeJS.Timeout | undefined;
  private readonly moves: boolean;

  /** @param options `moves: false` leaves every register to the caller */
  constructor(options: { moves?: boolean } = {}) {
    this.moves = options.moves ?? true;
  }

  /** @returns the port that it listens on; 0 picks a free one */
  start(host: string, port: number): Promise<number> {
    if (this.moves) this.timer = setInterval(() => this.memory.move(), 1000);
    this.server = createServer((socket) => this.serve(socket));
    return new Promise((resolve, reject) => {
      this.server?.once('error', reject);
      this.server?.listen(port, host, () => {
        const address = this.server?.address();
        resolve(typeof address === 'object' && address ? address.port : port);
      });
    });
  }

  stop(): Promise<void> {
    clearInterval(this.timer);
    for (const socket of this.sockets) socket.destroy();
    return new Promise((resolve) => (this.server ? this.server.close(() => resolve()) : resolve()));
  }

  private serve(socket: Socket): void {
    this.sockets.add(socket);
    socket.setNoDelay(true);
    let rest = Buffer.alloc(0);
    socket.on('data', (chunk: Buffer) => {
      rest = Buffer.concat([rest, chunk]);
      while (rest.length >= HEADER) {
        const size = 6 + rest.readUInt16BE(4);
        if (size > 260 || size < 8) return void socket.destroy(); // not Modbus
        if (rest.length < size) break;
        this.answer(socket, rest.subarray(0, size));
        rest = rest.subarray(size);
      }
    });
    socket.on('error', () => {}); // a peer that is gone is no news to a PLC
    socket.on('close', () => this.sockets.delete(socket));
  }

  /** @source MODBUS Messaging on TCP/IP V1.0b §3.1.3: transaction id, protocol 0, length, unit id, PDU */
  private answer(socket: Socket, frame: Buffer): void {
    if (this.fault === 'silent' || this.deadUnits.has(frame[6] ?? 0)) return;
    if (this.fault === 'garbage') return void socket.write(Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'));
    this.requests++;
    const request = frame.subarray(HEADER);
    const pdu =
      this.fault === 'exception' ? Buffer.of((request[0] ?? 0) | 0x80, 4) : answerPdu(request, this.memory);
    const head = Buffer.from(frame.subarray(0, HEADER));
    head.writeUInt16BE(pdu.length + 1, 4);
    socket.write(Buffer.concat([head, pdu]));
  }
}
