import type { PacketFields } from './packet-fields.ts';
import { reason } from './reason.ts';

/** The properties of a will, which have a block of their own in CONNECT; no packet has this type. */
export const WILL = 0;

type Rule = {
  readonly name: string;
  readonly kind: 'flag' | 'two' | 'four' | 'varint' | 'string' | 'binary' | 'pair';
  /** Packet types that may carry it from a client. */
  readonly in: readonly number[];
  /** [MQTT-3.1.2-24] and others: 0 says nothing. */
  readonly notZero?: boolean;
};

const [CONNECT, PUBLISH, SUBSCRIBE, UNSUBSCRIBE, DISCONNECT, AUTH] = [1, 3, 8, 10, 14, 15];
const message = [PUBLISH, WILL];
const acks = [4, 5, 6, 7];

/** What a client may say. A subscription identifier in PUBLISH and topic alias 0 are left to the handler, which has codes
 * of their own for them. @source MQTT 5 §2.2.2.2, table 2-4 */
const rules: ReadonlyMap<number, Rule> = new Map([
  [0x01, { name: 'payload format', kind: 'flag', in: message }],
  [0x02, { name: 'message expiry', kind: 'four', in: message }],
  [0x03, { name: 'content type', kind: 'string', in: message }],
  [0x08, { name: 'response topic', kind: 'string', in: message }],
  [0x09, { name: 'correlation data', kind: 'binary', in: message }],
  [0x0b, { name: 'subscription identifier', kind: 'varint', in: [SUBSCRIBE, PUBLISH], notZero: true }],
  [0x11, { name: 'session expiry', kind: 'four', in: [CONNECT, DISCONNECT] }],
  [0x15, { name: 'authentication method', kind: 'string', in: [CONNECT, AUTH] }],
  [0x16, { name: 'authentication data', kind: 'binary', in: [CONNECT, AUTH] }],
  [0x17, { name: 'request problem information', kind: 'flag', in: [CONNECT] }],
  [0x18, { name: 'will delay', kind: 'four', in: [WILL] }],
  [0x19, { name: 'request response information', kind: 'flag', in: [CONNECT] }],
  [0x1f, { name: 'reason string', kind: 'string', in: [...acks, DISCONNECT, AUTH] }],
  [0x21, { name: 'receive maximum', kind: 'two', in: [CONNECT], notZero: true }],
  [0x22, { name: 'topic alias maximum', kind: 'two', in: [CONNECT] }],
  [0x23, { name: 'topic alias', kind: 'two', in: [PUBLISH] }],
  [
    0x26,
    {
      name: 'user property',
      kind: 'pair',
      in: [CONNECT, ...message, ...acks, SUBSCRIBE, UNSUBSCRIBE, DISCONNECT, AUTH],
    },
  ],
  [0x27, { name: 'maximum packet size', kind: 'four', in: [CONNECT], notZero: true }],
] as const satisfies readonly (readonly [number, Rule])[]);

/** Checks a block of properties with its length in front. @param type of the packet, or {@link WILL} */
export function checkProperties(fields: PacketFields, type: number): void {
  const block = fields.part(fields.varint());
  const seen = new Set<number>();
  while (block.left > 0 && !block.fault && !fields.fault) {
    const id = block.varint();
    const rule = rules.get(id);
    if (!rule?.in.includes(type)) return fields.fail(`property ${id} does not belong to it`); // §2.2.2.2
    if (rule.kind !== 'pair' && seen.has(id)) return fields.fail(`${rule.name} twice`, reason.protocolError);
    seen.add(id);
    if (!isGood(block, rule) && !block.fault) fields.fail(`an impossible ${rule.name}`, reason.protocolError);
  }
  if (block.fault) fields.fail(block.fault.fault, block.fault.code);
}

function isGood(block: PacketFields, { kind, notZero = false }: Rule): boolean {
  switch (kind) {
    case 'flag':
      return block.byte() <= 1;
    case 'two':
      return block.number(2) > 0 || !notZero;
    case 'four':
      return block.number(4) > 0 || !notZero;
    case 'varint':
      return block.varint() > 0 || !notZero;
    case 'binary':
      block.binary();
      return true;
    case 'string':
      block.string();
      return true;
    case 'pair':
      block.string();
      block.string();
      return true;
    default:
      return kind satisfies never;
  }
}
