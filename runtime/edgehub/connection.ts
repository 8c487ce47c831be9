import type { Socket } from 'node:net';
import WebSocket from 'ws';
import type { Clock, Timer } from '../core/clock.ts';
import { errorText } from '../core/errors.ts';
import { encodeMessage, newMessage } from '../core/message.ts';
import { kibibytes, type Millis, mebibytes, seconds } from '../core/units.ts';
import { type FrameNotices, FrameWriter } from '../wire/frame-writer.ts';

export type ConnectionDeps = {
  readonly url: string;
  /** Certificates and headers of the dial. */
  readonly options: WebSocket.ClientOptions;
  readonly clock: Clock;
  /** From dial to upgrade, all in all. */
  readonly handshakeTimeout: Millis;
  readonly heartbeat: Millis;
  readonly events: {
    open(): void;
    /** One frame's text. */
    frame(text: string): void;
    /** There is room for more frames. */
    drained(): void;
  };
};

/** Nothing at all heard for this long, though a ping asked for it: the other end is gone. */
const SILENCE = seconds(30);
/** How often that is looked at: a dead peer is noticed after 40 s at the latest. */
const WATCH = seconds(5);
/** CloudHub lets go who sends no keepalive for 30 s, and a slow link is busy that long with a large frame. */
const LARGE_FRAME = kibibytes(16);
const FRAME_LIMIT = mebibytes(8);
/** Node gives each address of a name 250 ms to answer: too little for a satellite. */
const ADDRESS_TIMEOUT = seconds(5);

/** One WebSocket to CloudHub from dial to end: keeps alive, notices a dead peer. */
export class Connection {
  /** Why it ended, once it has. */
  readonly ended: Promise<string>;
  private readonly deps: ConnectionDeps;
  private readonly socket: WebSocket;
  private readonly writer: FrameWriter;
  private readonly timers: Timer[] = [];
  private raw: Socket | undefined;
  private read = 0;
  private heard = 0;
  private reason: string | undefined;
  /** What broke it, if that is known. */
  fault: unknown;

  constructor(deps: ConnectionDeps) {
    this.deps = deps;
    const { clock, events } = deps;
    const limits = { perMessageDeflate: false, maxPayload: FRAME_LIMIT } as const;
    const dial = { ...deps.options, ...limits, autoSelectFamilyAttemptTimeout: ADDRESS_TIMEOUT };
    this.socket = new WebSocket(deps.url, dial);
    this.writer = new FrameWriter({ socket: this.socket, clock, drained: () => events.drained() });
    this.ended = new Promise((resolve) => this.follow(resolve));
    const limit = deps.handshakeTimeout;
    this.timers.push(clock.after(limit, () => this.abandon(`no connection after ${limit / 1000} s`)));
  }

  get isOpen(): boolean {
    return this.socket.readyState === WebSocket.OPEN;
  }

  /** Whether more frames would only wait here. */
  get full(): boolean {
    return this.writer.full;
  }

  send(text: string, notices?: FrameNotices): void {
    if (text.length > LARGE_FRAME) this.keepAlive();
    this.writer.write(text, notices);
  }

  /** Calls back when all that the cloud had sent before it read this has come. */
  probe(answered: () => void): void {
    this.writer.mark(answered);
  }

  /** Says goodbye. */
  close(): void {
    this.socket.close(1000);
  }

  /** Ends it at once. */
  abandon(reason: string): void {
    this.reason ??= reason;
    this.socket.terminate();
  }

  private follow(end: (reason: string) => void): void {
    const { socket } = this;
    socket.on('upgrade', (response) => {
      this.raw = response.socket;
    });
    socket.on('open', () => this.opened());
    socket.on('message', (data) => {
      this.alive();
      this.deps.events.frame(data.toString());
    });
    socket.on('pong', (payload) => {
      this.alive();
      this.writer.pong(payload);
    });
    socket.on('error', (error) => {
      this.fault = error;
      this.reason ??= errorText(error);
    });
    socket.on('close', (code) => {
      for (const timer of this.timers) timer.cancel();
      this.writer.close();
      end(this.reason ?? `closed by the cloud (${code})`);
    });
  }

  private opened(): void {
    const { clock, events, heartbeat } = this.deps;
    for (const timer of this.timers.splice(0)) timer.cancel();
    this.alive();
    events.open();
    this.beat();
    this.timers.push(clock.every(heartbeat, () => this.beat()));
    this.timers.push(clock.every(WATCH, () => this.watch()));
  }

  private alive(): void {
    this.heard = this.deps.clock.monotonic();
  }

  /** A frame that arrives slowly is a sign of life with every byte. */
  private watch(): void {
    const { bytesRead = 0 } = this.raw ?? {};
    if (bytesRead !== this.read) this.alive();
    this.read = bytesRead;
    if (this.deps.clock.monotonic() - this.heard > SILENCE) this.abandon('the cloud has fallen silent');
  }

  private beat(): void {
    this.keepAlive();
    // CloudHub never answers a keepalive; the pong is what tells a half-open connection.
    this.writer.mark();
  }

  private keepAlive(): void {
    const route = { source: 'websocket', group: 'resource', operation: 'keepalive', resource: 'node' };
    this.writer.writeFirst(encodeMessage(newMessage({ ...route, content: 'ping' }, this.deps.clock.now())));
  }
}
