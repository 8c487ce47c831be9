import mqtt, { type Packet } from 'mqtt-packet';
import { errorText } from '../core/errors.ts';
import { checkPacket } from './packet-check.ts';
import type { PacketFault } from './packet-fields.ts';
import { reason } from './reason.ts';

export type ProtocolVersion = 3 | 4 | 5;
export type { Packet };

// Its table of all 65,536 encoded numbers takes 15 MB of resident memory.
(mqtt.writeToStream as unknown as { cacheNumbers: boolean }).cacheNumbers = false;

const CONNECT = 1;

/** Decodes exact control packets. Parsing is synchronous, so one parser a version serves every connection. */
export class PacketDecoder {
  private readonly parsers = new Map<ProtocolVersion, ReturnType<typeof mqtt.parser>>();
  private packet: Packet | undefined;
  private fault: unknown;

  /** @param version undefined before CONNECT has told it
   * @returns the packet, or what is wrong with it */
  decode(frame: Buffer, version: ProtocolVersion | undefined): Packet | PacketFault {
    const wrong = checkPacket(frame, version);
    if (wrong) return wrong;
    this.packet = undefined;
    this.fault = undefined;
    // A CONNECT switches the parser to its version, also one that comes where none may: it gets a parser of its own.
    const own = version === undefined || (frame[0] as number) >> 4 === CONNECT ? undefined : version;
    const parser = own === undefined ? this.newParser(version) : this.parserOf(own);
    try {
      const left = parser.parse(frame);
      if (left > 0) this.fault ??= 'length does not match';
    } catch (error) {
      this.fault ??= error;
    }
    if (this.fault === undefined && this.packet !== undefined) return this.packet;
    if (own !== undefined) this.parsers.delete(own); // a parser that met an error stays in it
    return { code: reason.malformedPacket, fault: errorText(this.fault ?? 'incomplete') };
  }

  private parserOf(version: ProtocolVersion): ReturnType<typeof mqtt.parser> {
    const known = this.parsers.get(version);
    if (known) return known;
    const parser = this.newParser(version);
    this.parsers.set(version, parser);
    return parser;
  }

  private newParser(version: ProtocolVersion | undefined): ReturnType<typeof mqtt.parser> {
    const parser = mqtt.parser(version === undefined ? {} : { protocolVersion: version });
    parser.on('packet', (packet: Packet) => {
      this.packet ??= packet;
    });
    parser.on('error', (error: Error) => {
      this.fault ??= error;
    });
    return parser;
  }
}

/** Encodes any packet but PUBLISH, which has a path of its own. */
export function encode(packet: Packet, version: ProtocolVersion): Buffer {
  return mqtt.generate(packet, { protocolVersion: version });
}
