import { createPublicKey, type KeyObject, sign } from 'node:crypto';
import { bits, der, integer, oid, printable, sequence, setOf, utf8 } from '../wire/der.ts';

/** Makes the PKCS#10 request of an edge node, signed with its key.
 * The subject is KubeEdge's; CloudCore copies CN and O from it.
 * @param key an EC P-256 private key
 * @returns DER
 * @source RFC 2986 §4; KubeEdge edge/pkg/edgehub/certificate */
export function nodeCertificateRequest(node: string, key: KeyObject): Buffer {
  const attribute = (type: string, value: Buffer): Buffer => setOf(sequence(oid(type), value));
  const info = sequence(
    integer(Buffer.of(0)),
    sequence(
      attribute('2.5.4.6', printable('CN')),
      attribute('2.5.4.8', utf8('Zhejiang')),
      attribute('2.5.4.7', utf8('Hangzhou')),
      attribute('2.5.4.10', utf8('system:nodes')),
      attribute('2.5.4.3', utf8(`system:node:${node}`)),
    ),
    createPublicKey(key).export({ type: 'spki', format: 'der' }),
    der(0xa0),
  );
  return sequence(info, sequence(oid('1.2.840.10045.4.3.2')), bits(sign('sha256', info, key)));
}
