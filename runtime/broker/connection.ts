import type { Duplex } from 'node:stream';
import type { Timer } from '../core/clock.ts';
import { errorText } from '../core/errors.ts';
import { type Bytes, bytes, mebibytes, millis } from '../core/units.ts';
import { AckQueue } from './ack-queue.ts';
import type { Identity } from './auth.ts';
import { encode, type Packet, type ProtocolVersion } from './codec.ts';
import { readClientPacket } from './decode/client-packet.ts';
import { UnsupportedVersion } from './decode/connect-packet.ts';
import { PacketFault } from './decode/packet-reader.ts';
import { FrameReader } from './frame.ts';
import { handleShortAck } from './handlers/ack.ts';
import { refuse } from './handlers/connect.ts';
import { handlePacket } from './handlers/handle.ts';
import { PublishPath } from './handlers/publish.ts';
import type { Hub } from './hub.ts';
import { type Delivery, encodeWithProperties, needsProperties, plainSize, writePlain } from './message.ts';
import { Outgoing } from './outgoing.ts';
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
  /** Set by CONNECT. */
  session: Session | undefined;
  version: ProtocolVersion | undefined;
  identity: Identity | undefined;
  /** Largest packet that is read. */
  readonly packetBytes: Bytes;
  receiveMaximum: number;
  maximumPacketSize = Number.POSITIVE_INFINITY;
  /** Topics by number, for a client that wants them. */
  aliases: TopicAliases | undefined;
  /** False when the client wants no reasons but in CONNACK and DISCONNECT. [MQTT-3.1.2-29] */
  wantsReasons = true;
  /** The client is a bridge before MQTT 5: every subscription of it is no-local and retain-as-published. */
  isBridge = false;
  private readonly stream: Duplex;
  private readonly frames: FrameReader;
  private readonly out: Outgoing;
  /** Made when first used: most clients of a gateway only listen. */
  private publishPath: PublishPath | undefined;
  private ackQueue: AckQueue | undefined;
  private timer: Timer | undefined;
  private keepAlive = 0;
  private heard = 0;
  private isNew = true;
  /** What is left to do for packets that cost much, a piece a turn; no packet is taken before that. */
  private chores: (() => void)[] | undefined;
  private isResting = false;
  private closed = false;

  constructor(deps: { hub: Hub; stream: Duplex; peer: Peer }) {
    this.hub = deps.hub;
    this.stream = deps.stream;
    this.peer = deps.peer;
    const { limits, clock, log, flusher } = deps.hub;
    this.receiveMaximum = limits.inflight;
    this.packetBytes = deps.peer.packetBytes ?? limits.packetBytes;
    this.frames = new FrameReader(bytes(Math.min(limits.connectBytes, this.packetBytes)), this);
    this.out = new Outgoing(deps.stream, flusher);
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

  get acks(): AckQueue {
    this.ackQueue ??= new AckQueue(
      (qos, id, code, error) => this.publishes.settled(qos, id, code as ReasonCode, error),
      () => {
        if (this.stream.isPaused()) this.regulate();
      },
    );
    return this.ackQueue;
  }

  private get publishes(): PublishPath {
    this.publishPath ??= new PublishPath(this);
    return this.publishPath;
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

  /** Writes a packet, unless it is larger than the client takes. [MQTT-3.1.2-24] */
  send(packet: Packet): void {
    if (this.closed) return;
    const bytes = encode(packet, this.version ?? 4);
    if (bytes.length > this.maximumPacketSize) return;
    this.hub.counters.bytesOut.add(bytes.length);
    this.out.append(bytes);
  }

  /** Writes PUBACK, PUBREC, PUBREL or PUBCOMP.
   * @param first the packet's first byte
   * @param code left out when it is 0, as MQTT 5 allows, and before MQTT 5 */
  sendAck(first: number, id: number, code: ReasonCode = reason.success): void {
    const isShort = code === reason.success || this.version !== 5;
    // [MQTT-3.1.2-24] a client that takes hardly anything gets hardly anything
    if (this.closed || (isShort ? ACK_SIZE : ACK_SIZE + 1) > this.maximumPacketSize) return;
    this.hub.counters.bytesOut.add(ACK_SIZE);
    if (isShort) this.out.appendAck(first, id);
    else this.out.append(Buffer.of(first, 3, id >> 8, id & 0xff, code));
  }

  publish(delivery: Delivery, id: number, dup: boolean): boolean {
    const { version } = this;
    if (this.closed || version === undefined) return true;
    const { counters } = this.hub;
    if (needsProperties(delivery, version) || this.aliases) {
      const bytes = this.encodeFive(delivery, id, dup);
      if (!bytes) return false;
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
    this.frames.limit = this.packetBytes;
    this.peer.accepted?.();
    this.keepAlive = keepAliveSeconds * 1500;
    this.heard = this.hub.clock.monotonic();
    if (this.keepAlive > 0) this.watch(this.keepAlive);
  }

  /** Takes no more packets of this client in this turn of the event loop, nor in the next ones until its chores are done:
   * what costs the broker much and the client little must not keep the others waiting. */
  rest(chore?: () => void): void {
    if (chore) {
      this.chores ??= [];
      this.chores.push(chore);
    }
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
      const properties = this.mayTell(why) ? { properties: { reasonString: why } } : {};
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
    const chore = this.closed ? undefined : this.chores?.shift();
    if (chore) this.attempt(chore);
    flusher.end();
    if (this.closed) return;
    if (this.chores && this.chores.length > 0) {
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
    const { ackQueue } = this;
    if (!ackQueue) return false;
    return ackQueue.length >= PENDING_ACKS * share || ackQueue.bytes >= PENDING_BYTES * share;
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

  /** Takes one packet of the frame reader.
   * @returns up to where it has read, -1 when reading must stop */
  take(data: Buffer, start: number, end: number): number {
    let next = end;
    try {
      const type = (data[start] as number) >> 4;
      if (type >= PUBACK && type <= PUBCOMP && end - start === ACK_SIZE && this.session)
        handleShortAck(this, this.session, data, start);
      else if (type === PUBLISH && this.session) next = this.publishes.take(this.session, data, start, end);
      else handlePacket(this, readClientPacket(data, start, end, this.version));
    } catch (error) {
      this.caught(error);
    }
    return this.closed ? -1 : next;
  }

  private caught(error: unknown): void {
    if (error instanceof UnsupportedVersion) {
      if (this.session) return this.broken(reason.protocolError, 'CONNECT twice'); // [MQTT-3.1.0-2]
      this.hub.counters.malformed.add();
      this.version = error.answerIn;
      refuse(this, error.code);
    } else if (error instanceof PacketFault) this.broken(error.code, error.message);
    else this.failed(error);
  }

  /** Whether the client wants to know the reason, and can take it. [MQTT-3.14.2-3] */
  private mayTell(why: string | undefined): why is string {
    // Fixed header, reason code, lengths and the property's identifier.
    return why !== undefined && this.wantsReasons && Buffer.byteLength(why) + 14 <= this.maximumPacketSize;
  }

  /** @returns undefined when the client cannot take it */
  private encodeFive(delivery: Delivery, id: number, dup: boolean): Buffer | undefined {
    const now = this.hub.clock.monotonic();
    const { topic } = delivery.message;
    const alias = this.aliases?.of(topic);
    const bytes = encodeWithProperties(delivery, id, dup, now, alias);
    if (bytes.length <= this.maximumPacketSize) return bytes;
    if (!alias || alias.known) return undefined;
    // The client has not heard of the alias; without it the packet is shorter.
    this.aliases?.takeBack(topic);
    const shorter = encodeWithProperties(delivery, id, dup, now);
    return shorter.length <= this.maximumPacketSize ? shorter : undefined;
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
