import type { Duplex } from 'node:stream';
import type { Clock, Timer } from '../core/clock.ts';
import { errorText } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import { millis } from '../core/units.ts';
import { AckQueue } from './ack-queue.ts';
import type { Identity } from './auth.ts';
import { encode, type Packet, type PacketDecoder, type ProtocolVersion } from './codec.ts';
import type { BrokerLimits } from './config.ts';
import { FrameReader } from './frame.ts';
import { handlePacket } from './handlers/handle.ts';
import type { Hub } from './hub.ts';
import { type Delivery, encodePublish } from './message.ts';
import type { Peer } from './peer.ts';
import { type ReasonCode, reason } from './reason.ts';
import type { Outlet, Session } from './session.ts';

/** How many QoS 1 and 2 messages of one client may wait for the disk before its socket is left unread. */
const PENDING_ACKS = 1000;

/** One network connection: cuts frames, keeps time, hands packets to their handlers. */
export class Connection implements Outlet {
  readonly hub: Hub;
  readonly peer: Peer;
  readonly acks = new AckQueue();
  /** Topics by alias, set by the client. */
  readonly aliases = new Map<number, string>();
  /** Set by CONNECT. */
  session: Session | undefined;
  version: ProtocolVersion | undefined;
  identity: Identity | undefined;
  receiveMaximum: number;
  maximumPacketSize = Number.POSITIVE_INFINITY;
  private readonly stream: Duplex;
  private readonly clock: Clock;
  private readonly log: Logger;
  private readonly limits: BrokerLimits;
  private readonly decoder: PacketDecoder;
  private readonly frames: FrameReader;
  private timer: Timer | undefined;
  private keepAlive = 0;
  private heard = 0;
  private corked = false;
  private closed = false;

  constructor(deps: { hub: Hub; stream: Duplex; peer: Peer; decoder: PacketDecoder }) {
    this.hub = deps.hub;
    this.stream = deps.stream;
    this.peer = deps.peer;
    this.decoder = deps.decoder;
    this.clock = deps.hub.clock;
    this.log = deps.hub.log;
    this.limits = deps.hub.limits;
    this.receiveMaximum = this.limits.inflight;
    this.frames = new FrameReader(this.limits.packetBytes);
    this.timer = this.clock.after(this.limits.connectTimeout, () => this.close());
    this.stream.on('data', (chunk: Buffer) => this.read(chunk));
    this.stream.on('error', (error) =>
      this.log.debug('connection failed', () => ({ reason: errorText(error) })),
    );
    this.stream.on('end', () => this.close());
    this.stream.on('close', () => this.ended());
  }

  get congested(): boolean {
    return this.stream.writableLength > this.limits.socketBytes;
  }

  /** Writes a packet. */
  send(packet: Packet): void {
    if (!this.closed) this.write(encode(packet, this.version ?? 4));
  }

  publish(delivery: Delivery, id: number, dup: boolean): boolean {
    if (this.closed || this.version === undefined) return true;
    const bytes = encodePublish(delivery, this.version, id, dup, this.clock.monotonic());
    if (bytes.length > this.maximumPacketSize) return false;
    this.hub.counters.sent.add();
    this.write(bytes);
    return true;
  }

  pubrel(id: number): void {
    this.send({ cmd: 'pubrel', messageId: id });
  }

  /** CONNECT was accepted: from now on silence of 1.5 times the keep-alive ends the connection. [MQTT-3.1.2-22] */
  accepted(keepAliveSeconds: number): void {
    this.timer?.cancel();
    this.timer = undefined;
    this.keepAlive = keepAliveSeconds * 1500;
    this.heard = this.clock.monotonic();
    if (this.keepAlive > 0) this.watch(this.keepAlive);
  }

  /** Holds back reading until so much of what was sent is on disk that more may come: TCP slows the publisher. */
  throttle(): void {
    if (this.acks.length >= PENDING_ACKS) this.stream.pause();
  }

  unthrottle(): void {
    if (this.acks.length < PENDING_ACKS / 2 && this.stream.isPaused()) this.stream.resume();
  }

  /** Ends a connection with the reason, which MQTT 5 clients are told. */
  fail(code: ReasonCode): void {
    if (this.closed) return;
    if (this.session && this.version === 5) this.send({ cmd: 'disconnect', reasonCode: code });
    this.close();
  }

  /** Ends the connection after what was written. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.timer?.cancel();
    this.stream.end();
    // A peer that does not read must not keep the socket: what was written has until then.
    const linger = this.clock.after(millis(2000), () => this.stream.destroy());
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
    this.heard = this.clock.monotonic();
    this.hub.counters.bytesIn.add(chunk.length);
    const fault = this.frames.push(chunk, (frame) => this.take(frame));
    if (fault) this.broken(fault === 'too-large' ? reason.packetTooLarge : reason.malformedPacket, fault);
  }

  /** @returns false when reading must stop */
  private take(frame: Buffer): boolean {
    const packet = this.decoder.decode(frame, this.version);
    if (packet instanceof Error) this.broken(reason.malformedPacket, packet.message);
    else {
      try {
        handlePacket(this, packet);
      } catch (error) {
        this.log.error('a packet could not be handled', {
          client: this.session?.clientId,
          reason: errorText(error),
        });
        this.fail(reason.implementationError);
      }
    }
    return !this.closed;
  }

  private broken(code: ReasonCode, why: string): void {
    this.hub.counters.malformed.add();
    this.log.warn('a client broke the protocol', {
      client: this.session?.clientId,
      peer: this.peer.address,
      reason: why,
    });
    this.fail(code);
  }

  private watch(wait: number): void {
    this.timer = this.clock.after(millis(wait), () => {
      const silent = this.clock.monotonic() - this.heard;
      if (silent >= this.keepAlive) this.fail(reason.keepAliveTimeout);
      else this.watch(this.keepAlive - silent);
    });
  }

  /** Everything written in one turn of the event loop leaves in one system call. */
  private write(bytes: Buffer): void {
    this.hub.counters.bytesOut.add(bytes.length);
    if (!this.corked) {
      this.corked = true;
      this.stream.cork();
      process.nextTick(() => {
        this.corked = false;
        this.stream.uncork();
      });
    }
    this.stream.write(bytes);
  }
}
