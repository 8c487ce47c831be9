import { createPublicKey, type KeyObject, sign } from 'node:crypto';

/** One attribute of a distinguished name: its object identifier's DER content and the value. */
type NameAttribute = { readonly oid: readonly number[]; readonly tag: number; readonly value: string };

const OID_COUNTRY = [0x55, 0x04, 0x06];
const OID_STATE = [0x55, 0x04, 0x08];
const OID_LOCALITY = [0x55, 0x04, 0x07];
const OID_ORGANIZATION = [0x55, 0x04, 0x0a];
const OID_COMMON_NAME = [0x55, 0x04, 0x03];
const OID_ECDSA_SHA256 = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];

const TAG = { integer: 0x02, bits: 0x03, oid: 0x06, utf8: 0x0c, printable: 0x13, sequence: 0x30, set: 0x31 };
const ATTRIBUTES = 0xa0;

/** Makes the PKCS#10 request of an edge node, signed with its key.
 * The subject is KubeEdge's; CloudCore copies CN and O from it.
 * @param key an EC P-256 private key
 * @returns DER
 * @source RFC 2986 §4; KubeEdge edge/pkg/edgehub/certificate */
export function nodeCertificateRequest(node: string, key: KeyObject): Buffer {
  const info = sequence(
    der(TAG.integer, Buffer.of(0)),
    name([
      { oid: OID_COUNTRY, tag: TAG.printable, value: 'CN' },
      { oid: OID_STATE, tag: TAG.utf8, value: 'Zhejiang' },
      { oid: OID_LOCALITY, tag: TAG.utf8, value: 'Hangzhou' },
      { oid: OID_ORGANIZATION, tag: TAG.utf8, value: 'system:nodes' },
      { oid: OID_COMMON_NAME, tag: TAG.utf8, value: `system:node:${node}` },
    ]),
    createPublicKey(key).export({ type: 'spki', format: 'der' }),
    der(ATTRIBUTES, Buffer.alloc(0)),
  );
  const algorithm = sequence(der(TAG.oid, Buffer.from(OID_ECDSA_SHA256)));
  const signature = sign('sha256', info, key);
  return sequence(info, algorithm, der(TAG.bits, Buffer.concat([Buffer.of(0), signature])));
}

function name(attributes: readonly NameAttribute[]): Buffer {
  return sequence(
    ...attributes.map(({ oid, tag, value }) =>
      der(TAG.set, sequence(der(TAG.oid, Buffer.from(oid)), der(tag, Buffer.from(value)))),
    ),
  );
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return der(TAG.sequence, Buffer.concat(parts));
}

/** Tag, length (short form below 128, else big-endian with a count), content. @source X.690 §8.1 */
function der(tag: number, content: Buffer): Buffer {
  const size = content.length;
  if (size < 0x80) return Buffer.concat([Buffer.of(tag, size), content]);
  const length = size < 0x100 ? [0x81, size] : [0x82, size >> 8, size & 0xff];
  return Buffer.concat([Buffer.of(tag, ...length), content]);
}
