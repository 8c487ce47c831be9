import { createPublicKey, type KeyObject, sign } from 'node:crypto';
import { bits, der, integer, oid, sequence, setOf, utf8 } from '../../runtime/wire/der.ts';

/** The certificate request of an edge, for tests. @source RFC 2986 §4 */
export function requestOf(commonName: string, key: KeyObject): Buffer {
  const attribute = (type: string, value: string): Buffer => setOf(sequence(oid(type), utf8(value)));
  const info = sequence(
    integer(Buffer.of(0)),
    sequence(attribute('2.5.4.10', 'system:nodes'), attribute('2.5.4.3', commonName)),
    createPublicKey(key).export({ type: 'spki', format: 'der' }),
    der(0xa0),
  );
  return sequence(info, sequence(oid('1.2.840.10045.4.3.2')), bits(sign('sha256', info, key)));
}
