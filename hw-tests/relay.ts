import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

type Direction = 'up' | 'down';

/** A TCP connection's way from one program to another, which a test can cut anywhere. */
export class Relay {
  private readonly target: number;
  private readonly sockets = new Set<Socket>();
  private server: Server | undefined;
  private ownPort = 0;
  /** Bytes that still pass, by direction. */
  private left: Record<Direction, number> = { up: Number.POSITIVE_INFINITY, down: Number.POSITIVE_INFINITY };
  private stuck = false;

  /** @param target port on 127.0.0.1 */
  constructor(target: number) {
    this.target = target;
  }

  /** The same after each {@link open}. */
  get port(): number {
    return this.ownPort;
  }

  /** Lets connections in, and all that they carry through. */
  async open(): Promise<void> {
    this.left = { up: Number.POSITIVE_INFINITY, down: Number.POSITIVE_INFINITY };
    this.stuck = false;
    if (this.server) return;
    const server = createServer({ noDelay: true }, (socket) => this.join(socket));
    server.listen(this.ownPort, '127.0.0.1');
    await once(server, 'listening');
    this.ownPort = (server.address() as AddressInfo).port;
    this.server = server;
  }

  /** Lets only so many more bytes through in one direction; `up` is to the target. Then nothing passes in either. */
  stopAfter(direction: Direction, bytes: number): void {
    this.left[direction] = bytes;
  }

  /** Whether something was held back. */
  get isStuck(): boolean {
    return this.stuck;
  }

  /** Ends every connection; what was on its way is lost. */
  cut(): void {
    for (const socket of this.sockets) socket.destroy();
    this.sockets.clear();
  }

  /** Cuts, and lets nobody in. */
  async close(): Promise<void> {
    const { server } = this;
    this.server = undefined;
    this.cut();
    if (!server) return;
    server.close();
    await once(server, 'close');
  }

  private join(near: Socket): void {
    const far = connect({ port: this.target, host: '127.0.0.1', noDelay: true });
    this.pipe(near, far, 'up');
    this.pipe(far, near, 'down');
  }

  private pipe(from: Socket, to: Socket, direction: Direction): void {
    this.sockets.add(from);
    from.on('data', (chunk) => {
      const passes = Math.min(this.left[direction], chunk.length);
      if (passes > 0) to.write(chunk.subarray(0, passes));
      this.left[direction] -= passes;
      if (passes === chunk.length) return;
      this.left = { up: 0, down: 0 };
      this.stuck = true;
    });
    from.on('error', () => {});
    from.on('close', () => {
      this.sockets.delete(from);
      to.destroy();
    });
  }
}
