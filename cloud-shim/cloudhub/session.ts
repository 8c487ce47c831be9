import type { Socket } from 'node:net';
import type { WebSocket } from 'ws';
import type { Clock, Timer } from '../../runtime/core/clock.ts';
import type { Logger } from '../../runtime/core/log.ts';
import { encodeMessage, type Message, parseMessage } from '../../runtime/core/message.ts';
import { type Millis, mebibytes, seconds } from '../../runtime/core/units.ts';
import { AckQueue, type Delivery } from './ack-queue.ts';

export type SessionDeps = {
  readonly node: string;
  readonly socket: WebSocket;
  /** What lies under it. */
  readonly transport: Pick<Socket, 'bytesRead'>;
  readonly keepalive: Millis;
  readonly clock: Clock;
  readonly log: Logger;
  readonly received: (session: Session, message: Message) => void;
  readonly acknowledged: (node: string, delivery: Delivery) => void;
  readonly closed: (session: Session, reason: string) => void;
};

/** What a node may leave unread before it is taken for stuck. */
const LARGEST_BACKLOG = mebibytes(32);

/** One node's connection. */
export class Session {
  readonly node: string;
  private readonly deps: SessionDeps;
  private readonly queue: AckQueue;
  private readonly watchdog: Timer;
  private readonly handling = new Set<string>();
  private heard: number;
  private read = 0;
  /** Pings that followed an object and were not answered yet: it is still on its way. */
  private pings = 0;
  private open = true;

  constructor(deps: SessionDeps) {
    const { clock, socket, node } = deps;
    this.deps = deps;
    this.node = node;
    this.heard = clock.monotonic();
    this.queue = new AckQueue({
      clock,
      send: (message) => this.sendObject(message),
      isMoving: () => this.pings > 0,
      acknowledged: (delivery) => deps.acknowledged(node, delivery),
      postponed: ({ message }) => {
        deps.log.warn('a node does not acknowledge', { node, resource: message.route.resource });
      },
    });
    socket.on('message', (data) => this.frame(String(data)));
    socket.once('close', (code) => this.end(`closed with ${code}`));
    socket.on('error', (error) => this.end(error.message));
    socket.on('pong', () => {
      this.pings = Math.max(0, this.pings - 1);
    });
    this.watchdog = clock.every(seconds(5), () => this.watch());
  }

  get pending(): number {
    return this.queue.length;
  }

  /** Sends what is not waited for. */
  send(message: Message): void {
    if (!this.open) return;
    const { socket } = this.deps;
    socket.send(encodeMessage(message));
    if (socket.bufferedAmount > LARGEST_BACKLOG) this.end('it does not read');
  }

  /** Sends an object until it is acknowledged. */
  deliver(delivery: Delivery): void {
    if (this.open) this.queue.push(delivery);
  }

  /** Whether a message is new: one that is dealt with right now may come again, because its answer takes long. */
  begin({ header }: Message): boolean {
    if (this.handling.has(header.msg_id)) return false;
    this.handling.add(header.msg_id);
    return true;
  }

  /** A message was dealt with. */
  finish({ header }: Message): void {
    this.handling.delete(header.msg_id);
  }

  /** Reads no more for now. */
  pause(): void {
    this.deps.socket.pause();
  }

  resume(): void {
    if (this.open) this.deps.socket.resume();
  }

  end(reason: string): void {
    if (!this.open) return;
    this.open = false;
    this.watchdog.cancel();
    this.queue.stop();
    this.deps.socket.terminate();
    this.deps.closed(this, reason);
  }

  private sendObject(message: Message): void {
    this.send(message);
    if (!this.open) return;
    this.pings++;
    this.deps.socket.ping();
  }

  /** A frame that arrives slowly is a sign of life with every byte. */
  private watch(): void {
    const { clock, keepalive, transport } = this.deps;
    if (transport.bytesRead !== this.read) this.heard = clock.monotonic();
    this.read = transport.bytesRead;
    if (clock.monotonic() - this.heard > keepalive) this.end('no keepalive');
  }

  private frame(text: string): void {
    // The node speaks over another connection by now: what is left in this one is older than what it says there.
    if (!this.open) return;
    this.heard = this.deps.clock.monotonic();
    const message = parseMessage(text);
    if ('refused' in message) {
      this.deps.log.warn('a frame is no message', { node: this.node, reason: message.refused });
      return;
    }
    const { operation } = message.route;
    if (operation === 'keepalive') return;
    if (operation === 'response' && this.queue.acknowledge(message.header.parent_msg_id ?? '')) return;
    this.deps.received(this, message);
  }
}
