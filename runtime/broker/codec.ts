import mqtt, { type Packet } from 'mqtt-packet';

export type ProtocolVersion = 3 | 4 | 5;
export type { Packet };

// Its table of all 65,536 encoded numbers takes 15 MB of resident memory.
(mqtt.writeToStream as unknown as { cacheNumbers: boolean }).cacheNumbers = false;

/** Encodes what a server or a bridge sends, but for PUBLISH and its acknowledgements, which have paths of their own. */
export function encode(packet: Packet, version: ProtocolVersion): Buffer {
  return mqtt.generate(packet, { protocolVersion: version });
}
