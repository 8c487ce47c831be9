import { reason } from '../reason.ts';
import { PacketFault, type PacketReader } from './packet-reader.ts';

/** Where properties stand. */
export type Place =
  | 'connect'
  | 'will'
  | 'publish'
  | 'ack'
  | 'subscribe'
  | 'unsubscribe'
  | 'disconnect'
  | 'auth';

/** `flag`: a byte, 0 or 1. `topic`: a text without wildcards. `…+`: not 0. */
type Type = 'flag' | 'u16' | 'u16+' | 'u32' | 'u32+' | 'varint+' | 'text' | 'topic' | 'binary' | 'pair';

type Property = {
  readonly name: Name;
  readonly type: Type;
  readonly places: readonly Place[];
  /** The receiver of the message gets it as it is. */
  readonly travels?: true;
};

type Name =
  | 'payloadFormat'
  | 'messageExpiry'
  | 'contentType'
  | 'responseTopic'
  | 'correlationData'
  | 'subscriptionId'
  | 'sessionExpiry'
  | 'authenticationMethod'
  | 'authenticationData'
  | 'requestProblemInformation'
  | 'willDelay'
  | 'requestResponseInformation'
  | 'reasonString'
  | 'receiveMaximum'
  | 'topicAliasMaximum'
  | 'topicAlias'
  | 'userProperty'
  | 'maximumPacketSize';

const message: readonly Place[] = ['publish', 'will'];
const everywhere: readonly Place[] = [
  'connect',
  'will',
  'publish',
  'ack',
  'subscribe',
  'unsubscribe',
  'disconnect',
  'auth',
];

/** What clients may send, by identifier. @source MQTT 5 table 2-4 */
const table: Readonly<Record<number, Property>> = {
  1: { name: 'payloadFormat', type: 'flag', places: message, travels: true },
  2: { name: 'messageExpiry', type: 'u32', places: message },
  3: { name: 'contentType', type: 'text', places: message, travels: true },
  8: { name: 'responseTopic', type: 'topic', places: message, travels: true },
  9: { name: 'correlationData', type: 'binary', places: message, travels: true },
  11: { name: 'subscriptionId', type: 'varint+', places: ['publish', 'subscribe'] },
  17: { name: 'sessionExpiry', type: 'u32', places: ['connect', 'disconnect'] },
  21: { name: 'authenticationMethod', type: 'text', places: ['connect', 'auth'] },
  22: { name: 'authenticationData', type: 'binary', places: ['connect', 'auth'] },
  23: { name: 'requestProblemInformation', type: 'flag', places: ['connect'] },
  24: { name: 'willDelay', type: 'u32', places: ['will'] },
  25: { name: 'requestResponseInformation', type: 'flag', places: ['connect'] },
  31: { name: 'reasonString', type: 'text', places: ['ack', 'disconnect', 'auth'] },
  33: { name: 'receiveMaximum', type: 'u16+', places: ['connect'] },
  34: { name: 'topicAliasMaximum', type: 'u16', places: ['connect'] },
  35: { name: 'topicAlias', type: 'u16', places: ['publish'] },
  38: { name: 'userProperty', type: 'pair', places: everywhere, travels: true },
  39: { name: 'maximumPacketSize', type: 'u32+', places: ['connect'] },
};

/** The numbers among them; of any other it says that it is there, with 1. */
export type Properties = {
  readonly [name in Name]?: number;
} & {
  /** What travels with a message, byte for byte: so the order of user properties is kept. [MQTT-3.3.2-18] [MQTT-3.1.3-10] */
  readonly travelling?: Buffer;
};

/** Reads the properties at the reader.
 * @throws PacketFault */
export function readProperties(reader: PacketReader, place: Place): Properties {
  const length = reader.varint();
  const end = reader.at + length;
  if (end > reader.end) throw new PacketFault('properties longer than the packet');
  const found: { -readonly [name in Name]?: number } = {};
  const travelling: Buffer[] = [];
  let from = reader.at;
  while (reader.at < end) {
    const start = reader.at;
    // No identifier needs more than one byte.
    const property = table[reader.byte()];
    if (!property?.places.includes(place)) throw new PacketFault('a property that does not belong here');
    const { name, type, travels } = property;
    if (found[name] !== undefined && type !== 'pair')
      throw new PacketFault(`${name} twice`, reason.protocolError);
    found[name] = readValue(reader, name, type);
    if (travels) continue;
    if (from < start) travelling.push(reader.data.subarray(from, start));
    from = reader.at;
  }
  if (reader.at !== end) throw new PacketFault('properties of another length');
  if (place !== 'publish' && place !== 'will') return found;
  if (from < end) travelling.push(reader.data.subarray(from, end));
  return travelling.length > 0 ? { ...found, travelling: Buffer.concat(travelling) } : found;
}

function readValue(reader: PacketReader, name: Name, type: Type): number {
  switch (type) {
    case 'flag':
      return atMost(1, reader.byte(), name);
    case 'u16':
      return reader.u16();
    case 'u16+':
      return notZero(reader.u16(), name);
    case 'u32':
      return reader.u32();
    case 'u32+':
      return notZero(reader.u32(), name);
    case 'varint+':
      return notZero(reader.varint(), name);
    case 'binary':
      reader.binary();
      return 1;
    case 'text':
      reader.textBytes();
      return 1;
    case 'topic':
      return withoutWildcards(reader.textBytes(), name);
    case 'pair':
      reader.textBytes();
      reader.textBytes();
      return 1;
    default:
      return type satisfies never;
  }
}

function atMost(most: number, value: number, name: Name): number {
  if (value > most) throw new PacketFault(`${name} ${value}`, reason.protocolError);
  return value;
}

function notZero(value: number, name: Name): number {
  if (value === 0) throw new PacketFault(`${name} 0`, reason.protocolError);
  return value;
}

/** [MQTT-3.3.2-14] */
function withoutWildcards(topic: Buffer, name: Name): number {
  if (topic.includes('+') || topic.includes('#'))
    throw new PacketFault(`wildcards in ${name}`, reason.protocolError);
  return 1;
}
