import type { Duplex } from 'node:stream';
import type { Timer } from '../core/clock.ts';
import { errorText } from '../core/errors.ts';
import { millis } from '../core/units.ts';
import { AckQueue } from './ack-queue.ts';
import type { Identity } from './auth.ts';
import { encode, type Packet, type PacketDecoder, type ProtocolVersion } from './codec.ts';
import { FrameReader } from './frame.ts';
import { handleShortAck } from './handlers/ack.ts';
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
  readonly acks = new AckQueue();
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
  /** True for a bridge of MQTT 3.1.1 that says so, as mosquitto's do: it gets its own messages not, and marks as they are. */
  isBridge = false;
  private readonly stream: Duplex;
  private readonly decoder: PacketDecoder;
  private readonly frames: FrameReader;
  private readonly out: Outgoing;
  private readonly publishes: PublishPath;
  private timer: Timer | undefined;
  private keepAlive = 0;
  private heard = 0;
  private closed = false;

  constructor(deps: { hub: Hub; stream: Duplex; peer: Peer; decoder: PacketDecoder }) {
    this.hub = deps.hub;
    this.stream = deps.stream;
    this.peer = deps.peer;
    this.decoder = deps.decoder;
    const { limits, clock, log, flusher } = deps.hub;
    this.receiveMaximum = limits.inflight;
    this.frames = new FrameReader(limits.packetBytes, (data, start, end) => this.take(data, start, end));
    this.out = new Outgoing(deps.stream, flusher);
    this.publishes = new PublishPath(this);
    this.timer = clock.after(limits.connectTimeout, () => this.close());
    this.stream.on('data', (chunk: Buffer) => this.read(chunk));
    this.stream.on('error', (error) => log.debug('connection failed', () => ({ reason: errorText(error) })));
    this.stream.on('end', () => this.close());
    this.stream.on('close', () => this.ended());
  }

  get isClosed(): boolean {
    return this.closed;
  }

  get congested(): boolean {
    return this.out.pending > this.hub.limits.socketBytes;
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
      const properties = why !== undefined && this.wantsReasons ? { properties: { reasonString: why } } : {};
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
      const client = this.session?.clientId;
      this.hub.log.error('a packet could not be handled', { client, reason: errorText(error) });
      this.fail(reason.implementationError);
    }
    return this.closed ? -1 : next;
  }

  private decode(data: Buffer, start: number, end: number): void {
    const packet = this.decoder.decode(data.subarray(start, end), this.version);
    if (packet instanceof Error) this.broken(reason.malformedPacket, packet.message);
    else handlePacket(this, packet);
  }

  /** Decodes one packet for a handler that has looked at it in place. */
  decodeWhole(data: Buffer, start: number, end: number): Packet | Error {
    return this.decoder.decode(data.subarray(start, end), this.version);
  }

  private encodeFive(delivery: Delivery, id: number, dup: boolean): Buffer {
    const alias = this.aliases?.of(delivery.message.topic);
    return encodeWithProperties(delivery, id, dup, this.hub.clock.monotonic(), alias);
  }

  private watch(wait: number): void {
    this.timer = this.hub.clock.after(millis(wait), () => {
      const silent = this.hub.clock.monotonic() - this.heard;
      if (silent >= this.keepAlive) this.fail(reason.keepAliveTimeout);
      else this.watch(this.keepAlive - silent);
    });
  }
}
