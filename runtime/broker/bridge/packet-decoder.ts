import { isUtf8 } from 'node:buffer';
import mqtt, { type IPublishPacket, type Packet } from 'mqtt-packet';
import type { ProtocolVersion } from '../codec.ts';
import { PacketReader } from '../decode/packet-reader.ts';
import { readProperties } from '../decode/properties.ts';
import type { QoS } from '../message.ts';
import { PublishFrame } from '../publish-frame.ts';

/** PUBLISH of a server. */
export type RemotePublish = {
  readonly cmd: 'publish';
  readonly topic: string;
  /** A copy that may live on. */
  readonly payload: Buffer;
  readonly qos: QoS;
  readonly retain: boolean;
  /** 0 with QoS 0. */
  readonly messageId: number;
  /** MQTT 5 properties that travel on, as they came. */
  readonly properties: Buffer | undefined;
  readonly expirySeconds: number | undefined;
};

export type RemotePacket = Exclude<Packet, IPublishPacket> | RemotePublish;

const PUBLISH = 3;

/** Decodes what the server of one connection sends, an exact control packet at a time. */
export class PacketDecoder {
  private readonly version: ProtocolVersion;
  private readonly frame = new PublishFrame();
  private readonly parser: ReturnType<typeof mqtt.parser>;
  private packet: Packet | undefined;
  private fault: Error | undefined;

  constructor(version: ProtocolVersion) {
    this.version = version;
    this.parser = mqtt.parser({ protocolVersion: version });
    this.parser.on('packet', (packet: Packet) => {
      this.packet ??= packet;
    });
    this.parser.on('error', (error: Error) => {
      this.fault ??= error;
    });
  }

  /** @param data holds one packet at `[start, end)`
   * @throws Error when it is malformed; the decoder is of no more use then */
  decode(data: Buffer, start: number, end: number): RemotePacket {
    if ((data[start] as number) >> 4 === PUBLISH) return this.publish(data, start, end);
    const left = this.parse(data.subarray(start, end));
    if (this.fault) throw this.fault;
    const { packet } = this;
    if (packet === undefined || packet.cmd === 'publish' || left > 0)
      throw new Error('length does not match');
    return packet;
  }

  private parse(frame: Buffer): number {
    this.packet = undefined;
    return this.parser.parse(frame);
  }

  /** Read in place: properties have to go on byte for byte. */
  private publish(data: Buffer, start: number, end: number): RemotePublish {
    const { frame } = this;
    if (!frame.read(data, start, end, this.version === 5)) throw new Error('a malformed PUBLISH');
    const reader = new PacketReader(data, frame.payloadStart - 1, end);
    const properties = frame.hasProperties ? readProperties(reader, 'publish') : {};
    if (frame.hasProperties) frame.payloadStart = reader.at;
    const topic = data.subarray(frame.topicStart, frame.topicEnd);
    if (topic.length === 0) throw new Error('no topic'); // no alias was offered [MQTT-3.1.2-27]
    if (!isUtf8(topic)) throw new Error('a topic that is not UTF-8');
    return {
      cmd: 'publish',
      topic: topic.toString(),
      payload: frame.payload(),
      qos: frame.qos,
      retain: frame.retain,
      messageId: frame.id,
      properties: properties.travelling,
      expirySeconds: properties.messageExpiry,
    };
  }
}
