import type { Duplex } from 'node:stream';
import type { Timer } from '../core/clock.ts';
import { errorText } from '../core/errors.ts';
import { type Bytes, millis } from '../core/units.ts';
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

/** How many QoS 1 and 2 messages of one client may wait for the disk before its socket is left unread. */
const PENDING_ACKS = 1000;
/** What a peer that does not read has before its socket is destroyed. */
const LINGER = millis(2000);
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
  private closed = false;

  constructor(deps: { hub: Hub; stream: Duplex; peer: Peer }) {
    this.hub = deps.hub;
    this.stream = deps.stream;
    this.peer = deps.peer;
    const { limits, clock, log, flusher } = deps.hub;
    this.receiveMaximum = limits.inflight;
    this.packetBytes = deps.peer.packetBytes ?? limits.packetBytes;
    this.frames = new FrameReader(this.packetBytes, this);
    this.out = new Outgoing(deps.stream, flusher);
    this.timer = clock.after(limits.connectTimeout, () => this.close());
    this.stream.on('data', (chunk: Buffer) => this.read(chunk));
    this.stream.on('error', (error) => log.debug('connection failed', () => ({ reason: errorText(error) })));
    this.stream.on('end', () => this.close());
    this.stream.on('close', () => this.ended());
  }

  get acks(): AckQueue {
    this.ackQueue ??= new AckQueue((qos, id, code, error) =>
      this.publishes.settled(qos, id, code as ReasonCode, error),
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
    this.peer.accepted?.();
    this.keepAlive = keepAliveSeconds * 1500;
    this.heard = this.hub.clock.monotonic();
    if (this.keepAlive > 0) this.watch(this.keepAlive);
  }

  /** Holds back reading until so much of what was sent is on disk that more may come: TCP slows the publisher. */
  throttle(): void {
    if (this.acks.length >= PENDING_ACKS && !this.stream.isPaused()) this.stream.pause();
  }

  unthrottle(): void {
    if (this.acks.length < PENDING_ACKS / 2 && this.stream.isPaused()) this.stream.resume();
  }

  /** Ends a connection with the reason, which MQTT 5 clients are told. */
  fail(code: ReasonCode, why?: string): void {
    if (this.closed) return;
    if (this.session && this.version === 5) {
      const properties = this.mayTell(why) ? { properties: { reasonString: why } } : {};
      this.send({ cmd: 'disconnect', reasonCode: code, ...properties });
    }
    this.close();
  }

  /** A packet that broke the protocol ends the connection. [MQTT-4.13.1-1] */
  broken(code: ReasonCode, why: string): void {
    if (this.closed) return;
    const { counters, log } = this.hub;
    if (code === reason.packetTooLarge) counters.refused.add();
    else counters.malformed.add();
    log.warn('a client broke the protocol', {
      client: this.session?.clientId,
      peer: this.peer.address,
      reason: why,
    });
    this.fail(code, why);
  }

  /** Ends the connection after what was written. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.timer?.cancel();
    this.out.flush();
    this.stream.end();
    // A peer that does not read must not keep the socket: what was written has until then.
    const linger = this.hub.clock.after(LINGER, () => this.stream.destroy());
    this.stream.once('close', () => linger.cancel());
    this.hub.left(this);
  }

  private ended(): void {
    this.closed = true;
    this.timer?.cancel();
    this.hub.left(this);
  }

  private read(chunk: Buffer): void {
    if (this.closed) return;
    const { clock, counters, flusher } = this.hub;
    this.heard = clock.monotonic();
    counters.bytesIn.add(chunk.length);
    flusher.begin();
    try {
      const fault = this.frames.push(chunk);
      if (fault) this.broken(fault === 'too-large' ? reason.packetTooLarge : reason.malformedPacket, fault);
    } finally {
      flusher.end();
    }
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
    if (error instanceof UnsupportedVersion && !this.session) {
      this.version = error.answerIn;
      refuse(this, error.code);
    } else if (error instanceof PacketFault) this.broken(error.code, error.message);
    else {
      const client = this.session?.clientId;
      this.hub.log.error('a packet could not be handled', { client, reason: errorText(error) });
      this.fail(reason.implementationError);
    }
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
      if (silent >= this.keepAlive) this.fail(reason.keepAliveTimeout);
      else this.watch(this.keepAlive - silent);
    });
  }
}
