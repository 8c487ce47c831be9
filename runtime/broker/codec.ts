import mqtt, { type Packet } from 'mqtt-packet';

export type ProtocolVersion = 3 | 4 | 5;
export type { Packet };

// Its table of all 65,536 encoded numbers takes 15 MB of resident memory.
(mqtt.writeToStream as unknown as { cacheNumbers: boolean }).cacheNumbers = false;

/** Decodes exact control packets. Parsing is synchronous, so one parser a version serves every connection. */
export class PacketDecoder {
  private readonly parsers = new Map<ProtocolVersion, ReturnType<typeof mqtt.parser>>();
  private packet: Packet | undefined;
  private fault: Error | undefined;

  /** @param version undefined before CONNECT has told it
   * @returns the packet, or the error that it is malformed with */
  decode(frame: Buffer, version: ProtocolVersion | undefined): Packet | Error {
    this.packet = undefined;
    this.fault = undefined;
    // A CONNECT switches the parser to its version, so each one gets a parser of its own.
    const parser = version === undefined ? this.newParser(undefined) : this.parserOf(version);
    try {
      const left = parser.parse(frame);
      if (this.fault === undefined && (this.packet === undefined || left > 0))
        this.fault = new Error('length does not match');
    } catch (error) {
      this.fault = error instanceof Error ? error : new Error(String(error));
    }
    if (this.fault === undefined && this.packet !== undefined) return this.packet;
    if (version !== undefined) this.parsers.delete(version); // a parser that met an error stays in it
    return this.fault ?? new Error('incomplete');
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
