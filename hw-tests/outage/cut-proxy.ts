import { connect, createServer, type Server, type Socket } from 'node:net';

/** What a link does: `open` passes everything on; `closed` refuses and cuts what there is; `silent` takes everything and
 * passes nothing on, as a filter does that drops packets; `slow` passes on so many bytes a second. */
export type LinkMode =
  | { readonly kind: 'open' }
  | { readonly kind: 'closed' }
  | { readonly kind: 'silent' }
  | { readonly kind: 'slow'; readonly bytesPerSecond: number };

const TICK = 50;

/** A link between two programs on this machine that can be cut in different ways. */
export class CutProxy {
  private readonly target: number;
  private readonly pairs = new Set<Pair>();
  private mode: LinkMode = { kind: 'open' };
  private server: Server | undefined;

  constructor(target: number) {
    this.target = target;
  }

  /** @returns the port to connect to */
  start(): Promise<number> {
    this.server = createServer((near) => this.accept(near));
    return new Promise((resolve, reject) => {
      this.server?.once('error', reject);
      this.server?.listen(0, '127.0.0.1', () => {
        const address = this.server?.address();
        resolve(typeof address === 'object' && address ? address.port : 0);
      });
    });
  }

  become(mode: LinkMode): void {
    this.mode = mode;
    for (const pair of this.pairs) pair.become(mode);
  }

  async stop(): Promise<void> {
    for (const pair of this.pairs) pair.cut();
    await new Promise<void>((resolve) => (this.server ? this.server.close(() => resolve()) : resolve()));
  }

  private accept(near: Socket): void {
    if (this.mode.kind === 'closed') return void near.resetAndDestroy();
    const pair = new Pair(near, connect({ host: '127.0.0.1', port: this.target }), () =>
      this.pairs.delete(pair),
    );
    this.pairs.add(pair);
    pair.become(this.mode);
  }
}

/** One connection through the proxy: two one-way pipes. */
class Pair {
  private readonly sockets: readonly [Socket, Socket];
  private readonly ended: () => void;
  private mode: LinkMode = { kind: 'open' };
  private timer: NodeJS.Timeout | undefined;

  constructor(near: Socket, far: Socket, ended: () => void) {
    this.sockets = [near, far];
    this.ended = ended;
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      from.on('data', (chunk: Buffer) => this.pass(from, to, chunk));
      from.on('error', () => {}); // the close that follows says enough
      from.on('close', () => this.mode.kind !== 'silent' && this.cut());
    }
  }

  become(mode: LinkMode): void {
    this.mode = mode;
    clearInterval(this.timer);
    if (mode.kind === 'closed') return this.cut();
    if (mode.kind === 'silent') for (const socket of this.sockets) socket.pause();
    else for (const socket of this.sockets) socket.resume();
  }

  cut(): void {
    clearInterval(this.timer);
    for (const socket of this.sockets) socket.resetAndDestroy();
    this.ended();
  }

  private pass(from: Socket, to: Socket, chunk: Buffer): void {
    if (this.mode.kind !== 'slow') {
      if (!to.write(chunk)) {
        from.pause();
        to.once('drain', () => this.mode.kind !== 'silent' && from.resume());
      }
      return;
    }
    // What arrived takes its time before more is read.
    const { bytesPerSecond } = this.mode;
    from.pause();
    let at = 0;
    const step = (): void => {
      const end = Math.min(chunk.length, at + Math.max(1, Math.floor((bytesPerSecond * TICK) / 1000)));
      to.write(chunk.subarray(at, end));
      at = end;
      if (at < chunk.length) setTimeout(step, TICK).unref();
      else if (this.mode.kind !== 'silent') from.resume();
    };
    step();
  }
}
