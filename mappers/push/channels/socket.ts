import { connect, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { Clock } from '../../../runtime/core/clock.ts';
import { seconds } from '../../../runtime/core/units.ts';
import { connectFault, PushError } from '../channel.ts';

const CONNECT_LIMIT = seconds(10);
/** The longest silence while something is waited for. */
const ANSWER_LIMIT = seconds(15);
/** What an answer may be long; none of those that are read here comes near it. */
const MOST_WAITING = 1024 * 1024;

/** A TCP connection that is read piece by piece. */
export class PushSocket {
  private socket: Socket;
  private readonly address: string;
  private readonly clock: Clock;
  private chunks: Buffer[] = [];
  private waiting = 0;
  private fault: Error | undefined;
  private wake: () => void = () => {};
  private readonly onData = (chunk: Buffer): void => {
    this.chunks.push(chunk);
    this.waiting += chunk.length;
    if (this.waiting > MOST_WAITING) this.fail(new Error('more was sent than anybody asked for'));
    this.wake();
  };
  private readonly onError = (error: Error): void => this.fail(error);
  private readonly onClose = (): void => this.fail(new Error('the connection was closed'));

  private constructor(socket: Socket, address: string, clock: Clock) {
    this.socket = socket;
    this.address = address;
    this.clock = clock;
    this.attach();
  }

  /** @param address `host:port`, an IPv6 host in brackets
   * @param tls speaks TLS from the first byte
   * @throws PushError away */
  static open(address: string, clock: Clock, tls?: { readonly ca: string | undefined }): Promise<PushSocket> {
    const { host, port } = splitHostPort(address);
    const socket = tls
      ? connectTls({ host, port, ...named(host), ...(tls.ca ? { ca: tls.ca } : {}) })
      : connect({ host, port });
    return new Promise((resolve, reject) => {
      const done = (error?: Error): void => {
        timer.cancel();
        socket.removeAllListeners();
        if (!error) return resolve(new PushSocket(socket, address, clock));
        // An error that comes after the first has nobody left to hear it.
        socket.on('error', () => {});
        socket.destroy();
        reject(connectFault(address, error));
      };
      const timer = clock.after(CONNECT_LIMIT, () => done(new Error('no connection in 10 s')));
      socket.once(tls ? 'secureConnect' : 'connect', () => done());
      socket.once('error', done);
    });
  }

  /** Goes on in TLS. @param ca PEM */
  async secure(ca: string): Promise<void> {
    const plain = this.socket;
    plain.removeAllListeners();
    const { host } = splitHostPort(this.address);
    const socket = connectTls({ socket: plain, ca, host, ...named(host) });
    this.socket = socket;
    this.attach();
    await new Promise<void>((resolve, reject) => {
      socket.once('secureConnect', resolve);
      socket.once('close', () => reject(connectFault(this.address, this.fault)));
    });
  }

  get isClosed(): boolean {
    return this.fault !== undefined;
  }

  write(bytes: Buffer): void {
    if (!this.fault) this.socket.write(bytes);
  }

  /** @throws PushError away when the connection ends before */
  async read(length: number): Promise<Buffer> {
    await this.until(() => this.waiting >= length);
    const all = this.chunks.length === 1 ? (this.chunks[0] as Buffer) : Buffer.concat(this.chunks);
    const rest = all.subarray(length);
    this.chunks = rest.length > 0 ? [rest] : [];
    this.waiting = rest.length;
    return all.subarray(0, length);
  }

  /** A line without its `\r\n`. @throws PushError away when the connection ends before */
  async line(): Promise<string> {
    for (;;) {
      const all = Buffer.concat(this.chunks);
      const end = all.indexOf('\r\n');
      if (end >= 0) return (await this.read(end + 2)).subarray(0, end).toString();
      const had = this.waiting;
      await this.until(() => this.waiting > had);
    }
  }

  close(): void {
    this.fail(new PushError('away', 'closed'));
  }

  private attach(): void {
    this.socket.setNoDelay(true);
    this.socket.on('data', this.onData);
    this.socket.on('error', this.onError);
    this.socket.on('close', this.onClose);
  }

  private async until(holds: () => boolean): Promise<void> {
    while (!holds()) {
      if (this.fault) throw connectFault(this.address, this.fault);
      const late = this.clock.after(ANSWER_LIMIT, () => this.fail(new Error('no answer in 15 s')));
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
      late.cancel();
    }
  }

  private fail(error: Error): void {
    this.fault ??= error;
    this.socket.destroy();
    this.wake();
  }
}

/** An address of numbers is no name to ask for; its certificate is checked all the same. */
function named(host: string): { servername?: string } {
  return isIP(host) ? {} : { servername: host };
}

function splitHostPort(address: string): { host: string; port: number } {
  const colon = address.lastIndexOf(':');
  return { host: address.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(address.slice(colon + 1)) };
}
