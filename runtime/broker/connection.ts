import type { Duplex } from 'node:stream';
import type { Timer } from '../core/clock.ts';
import { errorText } from '../core/errors.ts';
import { mebibytes, millis } from '../core/units.ts';
import { AckQueue } from './ack-queue.ts';
import type { Identity } from './auth.ts';
import { encode, type Packet, type PacketDecoder, type ProtocolVersion } from './codec.ts';
import { FrameReader } from './frame.ts';
import { handleShortAck } from './handlers/ack.ts';
import { refuseProtocol } from './handlers/connect.ts';
import { handlePacket } from './handlers/handle.ts';
import { PublishPath } from './handlers/publish.ts';
import type { Hub } from './hub.ts';
import { type Delivery, encodeWithProperties, needsProperties, plainSize, writePlain } from './message.ts';
import { Outgoing } from './outgoing.ts';
import type { PacketFault } from './packet-fields.ts';
import type { Peer } from './peer.ts';
import { type ReasonCode, reason } from './reason.ts';
import type { Outlet, Session } from './session.ts';
import type { TopicAliases } from './topic-aliases.ts';

/** How many QoS 1 and 2 messages of one client may wait for the disk before its socket is left unread, and their bytes. */
const PENDING_ACKS = 1000;
const PENDING_BYTES = mebibytes(1);
/** A chunk of so many bytes is a sign of life although it ends no packet; fewer may be a peer that plays for time. */
const LIVELY = 512;
/** What a peer that does not read has before its socket is destroyed. */
const LINGER = millis(2000);
/** First byte of every connection. [MQTT-3.1.0-1] */
const CONNECT = 0x10;
/** Packet types. @source MQTT 5 §2.1.2 */
const PUBLISH = 3;
const PUBACK = 4;
const PUBCOMP = 7;
/** PUBACK to PUBCOMP without a reason code. */
const ACK_SIZE = 4;

/** One network connection: cuts packets, keeps time, hands packets to their handlers. */
export class Connection implements Outlet {
  readonly hub: Hub;
  readonly peer: Peer;
  readonly acks = new AckQueue(() => this.regulate());
  /** Set by CONNECT. */
  session: Session | undefined;
  version: ProtocolVersion | undefined;
  identity: Identity | undefined;
  receiveMaximum: number;
  maximumPacketSize = Number.POSITIVE_INFINITY;
  /** Topics by number, for a client that wants them. */
  aliases: TopicAliases | undefined;
  /** False when the client wants no reasons but in CONNACK and DISCONNECT. [MQTT-3.1.2-29] */
  wantsReasons = true;
  private readonly stream: Duplex;
  private readonly decoder: PacketDecoder;
  private readonly frames: FrameReader;
  private readonly out: Outgoing;
  private readonly publishes: PublishPath;
  private timer: Timer | undefined;
  private keepAlive = 0;
  private heard = 0;
  private isNew = true;
  /** Bytes of its messages that wait for the disk. */
  private pendingBytes = 0;
  /** What is left to do for packets that cost much, a piece a turn; no packet is taken before that. */
  private readonly chores: (() => void)[] = [];
  private isResting = false;
  private closed = false;

  constructor(deps: { hub: Hub; stream: Duplex; peer: Peer; decoder: PacketDecoder }) {
    this.hub = deps.hub;
    this.stream = deps.stream;
    this.peer = deps.peer;
    this.decoder = deps.decoder;
    const { limits, clock, log, flusher } = deps.hub;
    this.receiveMaximum = limits.inflight;
    const first = Math.min(limits.connectBytes, limits.packetBytes);
    this.frames = new FrameReader(first, (data, start, end) => this.take(data, start, end));
    this.out = new Outgoing(deps.stream, flusher);
    this.publishes = new PublishPath(this);
    this.timer = clock.after(limits.connectTimeout, () => {
      this.hub.refuse('connectTimeout');
      this.drop();
    });
    this.stream.on('data', (chunk: Buffer) => this.read(chunk));
    this.stream.on('error', (error) => log.debug('connection failed', () => ({ reason: errorText(error) })));
    this.stream.on('drain', () => this.drained());
    this.stream.on('end', () => this.close());
    this.stream.on('close', () => this.ended());
    this.hub.arrived(this);
  }

  get isClosed(): boolean {
    return this.closed;
  }

  get congested(): boolean {
    return this.out.pending > this.hub.limits.socketBytes;
  }

  get blocked(): boolean {
    // Only then the stream says when it is empty again.
    return this.stream.writableNeedDrain && this.congested;
  }

  /** Writes a packet. */
  send(packet: Packet): void {
    if (this.closed) return;
    const bytes = encode(packet, this.version ?? 4);
    this.hub.counters.bytesOut.add(bytes.length);
    this.out.append(bytes);
  }

  /** Writes PUBACK, PUBREC, PUBREL or PUBCOMP.
   * @param first the packet's first byte
   * @param code left out when it is 0, as MQTT 5 allows, and before MQTT 5 */
  sendAck(first: number, id: number, code: ReasonCode = reason.success): void {
    if (this.closed) return;
    this.hub.counters.bytesOut.add(4);
    if (code === reason.success || this.version !== 5) this.out.appendAck(first, id);
    else this.out.append(Buffer.of(first, 3, id >> 8, id & 0xff, code));
  }

  publish(delivery: Delivery, id: number, dup: boolean): boolean {
    const { version } = this;
    if (this.closed || version === undefined) return true;
    const { counters } = this.hub;
    if (needsProperties(delivery, version) || this.aliases) {
      const bytes = this.encodeFive(delivery, id, dup);
      if (bytes.length > this.maximumPacketSize) return false;
      counters.bytesOut.add(bytes.length);
      this.out.append(bytes);
    } else {
      const size = plainSize(delivery, version);
      if (size > this.maximumPacketSize) return false;
      counters.bytesOut.add(size);
      writePlain(this.out, delivery, version, id, dup);
    }
    counters.sent.add();
    return true;
  }

  forward(data: Buffer, start: number, end: number, count: number, isFive: boolean): boolean {
    if (isFive !== (this.version === 5) || this.aliases) return false;
    // Packets of one topic differ in their payload: the whole run bounds each of them.
    if (end - start > this.maximumPacketSize) return false;
    if (this.closed) return true;
    this.hub.counters.sent.add(count);
    this.hub.counters.bytesOut.add(end - start);
    this.out.append(data, start, end);
    return true;
  }

  pubrel(id: number): void {
    this.sendAck(0x62, id);
  }

  /** CONNECT was accepted: from now on silence of 1.5 times the keep-alive ends the connection. [MQTT-3.1.2-22] */
  accepted(keepAliveSeconds: number): void {
    this.timer?.cancel();
    this.timer = undefined;
    this.frames.limit = this.hub.limits.packetBytes;
    this.keepAlive = keepAliveSeconds * 1500;
    this.heard = this.hub.clock.monotonic();
    if (this.keepAlive > 0) this.watch(this.keepAlive);
  }

  /** A message of this client waits for the disk; a negative number says that it does not any more. */
  pending(bytes: number): void {
    this.pendingBytes += bytes;
  }

  /** Takes no more packets of this client in this turn of the event loop, nor in the next ones until its chores are done:
   * what costs the broker much and the client little must not keep the others waiting. */
  rest(chore?: () => void): void {
    if (chore) this.chores.push(chore);
    if (this.isResting || this.closed) return;
    this.isResting = true;
    this.frames.hold();
    this.regulate();
    setImmediate(() => this.work());
  }

  /** Answers once all of this is on disk; answers keep their order. */
  afterAll(kept: readonly Promise<unknown>[], answer: () => void): void {
    if (kept.length === 0) return answer();
    const settle = this.acks.later((error) => {
      if (error === undefined) this.attempt(answer);
      else this.fail(reason.unspecified);
    });
    Promise.all(kept).then(
      () => settle(),
      (error) => settle(error ?? new Error('not kept')),
    );
  }

  /** Does what may fail outside of a packet's handling: a failure ends this connection alone. */
  attempt(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.failed(error);
    }
  }

  /** Ends a connection with the reason, which MQTT 5 clients are told. */
  fail(code: ReasonCode, why?: string): void {
    if (this.closed) return;
    if (!this.session) return this.drop();
    if (this.version === 5) {
      const properties = why !== undefined && this.wantsReasons ? { properties: { reasonString: why } } : {};
      this.send({ cmd: 'disconnect', reasonCode: code, ...properties });
    }
    this.close();
  }

  /** A packet that broke the protocol ends the connection. [MQTT-4.13.1-1] */
  broken(code: ReasonCode, why: string): void {
    if (this.closed) return;
    if (code === reason.packetTooLarge) this.hub.refuse(this.session ? 'packetBytes' : 'connectBytes');
    else this.hub.counters.malformed.add();
    this.hub.complain(this, why);
    this.fail(code, why);
  }

  /** Drops the connection at once: whoever has not said CONNECT is owed nothing, not even being read to the end. */
  drop(): void {
    this.stream.destroy();
    this.ended();
  }

  /** Ends the connection after what was written. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.timer?.cancel();
    this.out.flush();
    this.stream.end();
    // Read to its end: what came and was not read would make the kernel drop what was written.
    this.stream.resume();
    // A peer that does not read must not keep the socket: what was written has until then.
    const linger = this.hub.clock.after(LINGER, () => this.stream.destroy());
    this.stream.once('close', () => linger.cancel());
    this.hub.lingers(this);
    this.hub.left(this);
  }

  private ended(): void {
    this.closed = true;
    this.timer?.cancel();
    this.hub.left(this);
    this.hub.gone(this);
  }

  private read(chunk: Buffer): void {
    if (this.closed) return;
    const { clock, counters } = this.hub;
    counters.bytesIn.add(chunk.length);
    if (this.isNew && chunk[0] !== CONNECT) return this.broken(reason.protocolError, 'CONNECT comes first');
    this.isNew = false;
    const { count } = this.frames;
    this.cut(chunk);
    if (chunk.length >= LIVELY || this.frames.count !== count) this.heard = clock.monotonic();
  }

  /** @param chunk undefined for what was held back */
  private cut(chunk: Buffer | undefined): void {
    const { flusher } = this.hub;
    flusher.begin();
    try {
      const fault = chunk ? this.frames.push(chunk) : this.frames.goOn();
      if (fault) this.broken(fault === 'too-large' ? reason.packetTooLarge : reason.malformedPacket, fault);
    } finally {
      flusher.end();
    }
    this.regulate();
  }

  private work(): void {
    const { flusher } = this.hub;
    flusher.begin();
    const chore = this.closed ? undefined : this.chores.shift();
    if (chore) this.attempt(chore);
    flusher.end();
    if (this.closed) return;
    if (this.chores.length > 0) {
      setImmediate(() => this.work());
      return;
    }
    this.isResting = false;
    this.cut(undefined);
  }

  /** Reads on, or not: TCP slows a peer whose messages wait for the disk, or who does not take the answers. */
  private regulate(): void {
    if (this.closed) return;
    const isPaused = this.stream.isPaused();
    const share = isPaused ? 0.5 : 1;
    const wait = this.isResting || this.storeLags(share) || (this.blocked && this.isFlooded);
    if (wait === isPaused) return;
    if (wait) this.stream.pause();
    else this.stream.resume();
  }

  private storeLags(share: number): boolean {
    return this.acks.length >= PENDING_ACKS * share || this.pendingBytes >= PENDING_BYTES * share;
  }

  /** More waits in the socket than messages alone make: answers to who does not read. */
  private get isFlooded(): boolean {
    return this.out.pending > 2 * this.hub.limits.socketBytes;
  }

  /** The peer has taken everything. */
  private drained(): void {
    if (this.stream.isPaused()) this.heard = this.hub.clock.monotonic();
    this.session?.pump();
    this.regulate();
  }

  private failed(error: unknown): void {
    const client = this.session?.clientId;
    this.hub.log.error('a packet could not be handled', { client, reason: errorText(error) });
    this.fail(reason.implementationError);
  }

  /** @returns up to where it has read, -1 when reading must stop */
  private take(data: Buffer, start: number, end: number): number {
    let next = end;
    try {
      const type = (data[start] as number) >> 4;
      if (type >= PUBACK && type <= PUBCOMP && end - start === ACK_SIZE && this.session)
        handleShortAck(this, this.session, data, start);
      else if (type === PUBLISH && this.session) next = this.publishes.take(this.session, data, start, end);
      else this.decode(data, start, end);
    } catch (error) {
      this.failed(error);
    }
    return this.closed ? -1 : next;
  }

  private decode(data: Buffer, start: number, end: number): void {
    const packet = this.decoder.decode(data.subarray(start, end), this.version);
    if (!('fault' in packet)) return handlePacket(this, packet);
    if (packet.code === reason.unsupportedProtocol && !this.session) refuseProtocol(this);
    else this.broken(packet.code, packet.fault);
  }

  /** Decodes one packet for a handler that has looked at it in place. */
  decodeWhole(data: Buffer, start: number, end: number): Packet | PacketFault {
    return this.decoder.decode(data.subarray(start, end), this.version);
  }

  private encodeFive(delivery: Delivery, id: number, dup: boolean): Buffer {
    const alias = this.aliases?.of(delivery.message.topic);
    return encodeWithProperties(delivery, id, dup, this.hub.clock.monotonic(), alias);
  }

  private watch(wait: number): void {
    this.timer = this.hub.clock.after(millis(wait), () => {
      const silent = this.hub.clock.monotonic() - this.heard;
      // Nobody is silent whom we do not listen to.
      if (this.stream.isPaused() && !this.blocked) this.watch(this.keepAlive);
      else if (silent >= this.keepAlive) this.fail(reason.keepAliveTimeout);
      else this.watch(this.keepAlive - silent);
    });
  }
}
