import type { Duplex } from 'node:stream';
import type { Timer } from '../../core/clock.ts';
import { errorText } from '../../core/errors.ts';
import { mebibytes, millis, seconds } from '../../core/units.ts';
import { encode, type Packet, type ProtocolVersion } from '../codec.ts';
import { FrameReader } from '../frame.ts';
import type { Hub } from '../hub.ts';
import {
  type Delivery,
  encodeWithProperties,
  needsProperties,
  plainSize,
  type QoS,
  writePlain,
} from '../message.ts';
import { Outgoing } from '../outgoing.ts';
import type { Outlet } from '../session.ts';
import type { Terms } from './handshake.ts';
import { PacketDecoder, type RemotePacket } from './packet-decoder.ts';

/** Largest packet that is read: a broker that speaks 3.1.1 cannot be told of a lower limit, and would send what is over
 * it again and again. */
const LARGEST = mebibytes(16);
/** What a peer that does not read has before its socket is destroyed. */
const LINGER = seconds(2);

export type RemoteEvents = {
  packet(packet: RemotePacket): void;
  /** The other side has taken what waited in the socket. */
  drained(): void;
  /** Called once. */
  closed(why: string): void;
  /** @returns the name of a topic on the remote side; undefined when it is not carried there */
  rename(topic: string): string | undefined;
  /** A message leaves. */
  sent(topic: string, payload: Buffer): void;
  /** A message cannot leave. */
  skipped(): void;
};

/** One connection to a remote broker, from the first byte to the last. */
export class RemoteConnection implements Outlet {
  receiveMaximum: number;
  private readonly hub: Hub;
  private readonly stream: Duplex;
  private readonly version: ProtocolVersion;
  private readonly events: RemoteEvents;
  private readonly decoder: PacketDecoder;
  private readonly frames: FrameReader;
  private readonly out: Outgoing;
  private maximumPacketSize = Number.POSITIVE_INFINITY;
  private maximumQos: QoS = 2;
  private keepsRetained = true;
  private timer: Timer | undefined;
  private heard: number;
  private why: string | undefined;
  private isEnded = false;

  constructor(deps: { hub: Hub; stream: Duplex; version: ProtocolVersion; events: RemoteEvents }) {
    this.hub = deps.hub;
    this.stream = deps.stream;
    this.version = deps.version;
    this.events = deps.events;
    this.decoder = new PacketDecoder(deps.version);
    this.receiveMaximum = this.hub.limits.inflight;
    this.heard = this.hub.clock.monotonic();
    this.frames = new FrameReader(LARGEST, this);
    this.out = new Outgoing(deps.stream, this.hub.flusher);
    this.stream.on('data', (chunk: Buffer) => this.read(chunk));
    this.stream.on('error', (error) => this.end(errorText(error)));
    this.stream.on('drain', () => this.events.drained());
    this.stream.on('end', () => this.end('closed by the remote broker'));
    this.stream.on('close', () => this.end('connection lost'));
  }

  get congested(): boolean {
    return this.out.pending > this.hub.limits.socketBytes;
  }

  get blocked(): boolean {
    // Only then the stream says when it is empty again.
    return this.stream.writableNeedDrain && this.congested;
  }

  get isClosed(): boolean {
    return this.why !== undefined;
  }

  /** The remote broker has accepted: its limits hold, and silence ends the connection. */
  accepted(terms: Terms): void {
    this.receiveMaximum = terms.receiveMaximum;
    this.maximumPacketSize = terms.maximumPacketSize;
    this.maximumQos = terms.maximumQos;
    this.keepsRetained = terms.keepsRetained;
    if (terms.keepAlive > 0) this.watch(terms.keepAlive * 1000);
  }

  send(packet: Packet): void {
    if (!this.isClosed) this.out.append(encode(packet, this.version));
  }

  /** PUBACK, PUBREC, PUBREL or PUBCOMP of a message that all is well with. */
  sendAck(first: number, id: number): void {
    if (!this.isClosed) this.out.appendAck(first, id);
  }

  publish(delivery: Delivery, id: number, dup: boolean): boolean {
    if (this.isClosed) return true;
    const topic = this.events.rename(delivery.message.topic);
    const qos = Math.min(delivery.qos, this.maximumQos) as QoS;
    const retain = delivery.retain && this.keepsRetained;
    if (
      topic === undefined ||
      !this.write({ ...delivery, qos, retain, message: { ...delivery.message, topic } }, id, dup)
    ) {
      this.events.skipped();
      return false;
    }
    this.events.sent(topic, delivery.message.payload);
    // Without QoS nobody will acknowledge it: it is done.
    return qos > 0 || delivery.qos === 0;
  }

  /** Packets go out one by one, because their topics may have other names there. */
  forward(): boolean {
    return false;
  }

  pubrel(id: number): void {
    this.sendAck(0x62, id);
  }

  /** Holds back reading while so much waits for the disk. */
  pause(isFull: boolean): void {
    if (!this.isClosed && isFull !== this.stream.isPaused()) this.stream[isFull ? 'pause' : 'resume']();
  }

  /** Ends the connection after what was written. */
  close(why: string): void {
    if (this.isClosed) return;
    this.why = why;
    this.out.flush();
    this.stream.end();
    // Read to its end: what came and was not read would make the kernel drop what was written.
    this.stream.resume();
    const linger = this.hub.clock.after(LINGER, () => this.stream.destroy());
    this.stream.once('close', () => linger.cancel());
    this.finish();
  }

  private end(why: string): void {
    this.why ??= why;
    this.stream.destroy();
    this.finish();
  }

  private finish(): void {
    if (this.isEnded) return;
    this.isEnded = true;
    this.timer?.cancel();
    this.events.closed(this.why ?? 'closed');
  }

  private write(delivery: Delivery, id: number, dup: boolean): boolean {
    if (needsProperties(delivery, this.version)) {
      const bytes = encodeWithProperties(delivery, id, dup, this.hub.clock.monotonic());
      if (bytes.length > this.maximumPacketSize) return false;
      this.out.append(bytes);
      return true;
    }
    if (plainSize(delivery, this.version) > this.maximumPacketSize) return false;
    writePlain(this.out, delivery, this.version, id, dup);
    return true;
  }

  private read(chunk: Buffer): void {
    if (this.isClosed) return;
    this.heard = this.hub.clock.monotonic();
    this.hub.flusher.begin();
    try {
      const fault = this.frames.push(chunk);
      if (fault) this.close(`the remote broker sent a packet that is ${fault}`);
    } finally {
      this.hub.flusher.end();
    }
  }

  /** Takes one packet of the frame reader.
   * @returns up to where it has read, -1 when reading must stop */
  take(data: Buffer, start: number, end: number): number {
    const packet = this.decode(data, start, end);
    try {
      if (packet) this.events.packet(packet);
    } catch (error) {
      this.hub.log.error('a packet of a remote broker could not be handled', { reason: errorText(error) });
      this.close('a packet could not be handled');
    }
    return this.isClosed ? -1 : end;
  }

  private decode(data: Buffer, start: number, end: number): RemotePacket | undefined {
    try {
      return this.decoder.decode(data, start, end);
    } catch (error) {
      this.close(`the remote broker sent a malformed packet: ${errorText(error)}`);
      return undefined;
    }
  }

  /** Asks whether the other side is there, and gives up when it does not say so. [MQTT-3.1.2-22] */
  private watch(period: number): void {
    this.timer = this.hub.clock.every(millis(period / 2), () => {
      const silent = this.hub.clock.monotonic() - this.heard;
      if (silent >= period * 1.5) this.end('the remote broker has fallen silent');
      else this.send({ cmd: 'pingreq' });
    });
  }
}
