import type { Clock, Timer } from '../core/clock.ts';
import { kibibytes, seconds } from '../core/units.ts';

/** What is written to: a WebSocket, as `ws` has it. */
export interface FrameSocket {
  send(data: Buffer, options: { binary: boolean; fin: boolean }, done: () => void): void;
  ping(data: Buffer): void;
}

/** Who wants to know how far a frame has come. */
export type FrameNotices = {
  /** The operating system has taken it: from here on an answer may be waited for. */
  readonly handed?: () => void;
  /** The other end has read it. */
  readonly arrived?: () => void;
};

type Piece = { readonly data: Buffer; readonly first: boolean; readonly fin: boolean } & FrameNotices;

/** Frames larger than this go in pieces, with pings between them that show that they move. */
const PIECE = kibibytes(8);
/** What may be under way: over 20 kbit/s this takes 13 s, so that a keepalive behind it is still in time. */
const WINDOW = kibibytes(32);
/** How long frames whose arrival is of interest wait for company: one ping serves them all. */
const ARRIVAL_WAIT = seconds(1);

/** Writes frames to a WebSocket, never further ahead of what the other end has read than {@link WINDOW}.
 *
 * What the operating system buffers cannot be seen from here, and a pong says how far the other end has read. So a ping
 * follows each {@link PIECE}: on a slow link the pongs come steadily, however large the frames, and on a dead one not at all. */
export class FrameWriter {
  private readonly socket: FrameSocket;
  private readonly clock: Clock;
  private readonly drained: () => void;
  private queue: Piece[] = [];
  /** Bytes written, bytes written before the last ping, bytes that the other end has read. */
  private written = 0;
  private marked = 0;
  private confirmed = 0;
  private lastMark = 0;
  private marks: { readonly id: number; readonly at: number; readonly answered?: () => void }[] = [];
  private travelling: { readonly at: number; readonly arrived: () => void }[] = [];
  private timer: Timer | undefined;

  /** @param deps.drained called when there is room again after {@link full} */
  constructor(deps: { readonly socket: FrameSocket; readonly clock: Clock; readonly drained: () => void }) {
    this.socket = deps.socket;
    this.clock = deps.clock;
    this.drained = deps.drained;
  }

  /** Whether more would only wait here. */
  get full(): boolean {
    return this.queue.length > 0 || this.written - this.confirmed >= WINDOW;
  }

  write(text: string, notices: FrameNotices = {}): void {
    this.queue.push(...piecesOf(text, notices));
    this.pump();
  }

  /** Writes a frame before all that wait, but not into the middle of one. */
  writeFirst(text: string): void {
    const begun = this.queue[0]?.first === false;
    const place = begun ? this.queue.findIndex(({ fin }) => fin) + 1 : 0;
    this.queue.splice(place, 0, ...piecesOf(text, {}));
    this.pump();
  }

  /** Asks the other end for a sign of life.
   * @param answered called when it has come, and so all that the other end had sent before */
  mark(answered?: () => void): void {
    const id = ++this.lastMark;
    this.marked = this.written;
    this.marks.push({ id, at: this.written, ...(answered ? { answered } : {}) });
    const payload = Buffer.alloc(4);
    payload.writeUInt32BE(id % 2 ** 32);
    this.socket.ping(payload);
  }

  /** Takes the answer to a ping. One answer stands for all pings before it. */
  pong(payload: Buffer): void {
    if (payload.length !== 4) return;
    const id = payload.readUInt32BE();
    const place = this.marks.findIndex((mark) => mark.id % 2 ** 32 === id);
    const mark = this.marks[place];
    if (!mark) return;
    const answers = this.marks.splice(0, place + 1);
    const wasFull = this.full;
    this.confirmed = mark.at;
    this.pump();
    const here = this.travelling.filter(({ at }) => at <= mark.at);
    this.travelling = this.travelling.filter(({ at }) => at > mark.at);
    for (const { arrived } of here) arrived();
    for (const { answered } of answers) answered?.();
    if (wasFull && !this.full) this.drained();
  }

  /** Forgets what waits: the connection is gone. */
  close(): void {
    this.timer?.cancel();
    this.timer = undefined;
    this.queue = [];
    this.travelling = [];
    this.marks = [];
  }

  private pump(): void {
    while (this.queue.length > 0 && this.written - this.confirmed < WINDOW) {
      const piece = this.queue.shift();
      if (piece) this.put(piece);
    }
  }

  private put({ data, fin, handed, arrived }: Piece): void {
    this.written += data.length;
    this.socket.send(data, { binary: false, fin }, () => handed?.());
    if (arrived) this.travelling.push({ at: this.written, arrived });
    if (this.written - this.marked >= PIECE) this.mark();
    else if (arrived) this.askSoon();
  }

  private askSoon(): void {
    this.timer ??= this.clock.after(ARRIVAL_WAIT, () => {
      this.timer = undefined;
      if (this.travelling.some(({ at }) => at > this.marked)) this.mark();
    });
  }
}

function piecesOf(text: string, notices: FrameNotices): Piece[] {
  const data = Buffer.from(text);
  const pieces: Piece[] = [];
  for (let at = 0; at < data.length; at += PIECE) {
    const fin = at + PIECE >= data.length;
    const part = data.subarray(at, at + PIECE);
    pieces.push({ data: part, first: at === 0, fin, ...(fin ? notices : {}) });
  }
  return pieces;
}
