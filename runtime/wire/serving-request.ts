import { createPublicKey, type KeyObject, sign } from 'node:crypto';
import { isIP } from 'node:net';
import { bits, der, integer, octets, oid, sequence, setOf, utf8 } from './der.ts';

/** The PKCS#10 request for a certificate that serves at `addresses`, PEM.
 * @param key an EC P-256 private key
 * @source RFC 2986 §4; Kubernetes signer kubernetes.io/kubelet-serving */
export function servingRequest(node: string, addresses: readonly string[], key: KeyObject): string {
  const attribute = (type: string, value: string): Buffer => setOf(sequence(oid(type), utf8(value)));
  const names = sequence(...addresses.map((address) => der(0x87, ipBytes(address))));
  const extension = sequence(oid('2.5.29.17'), octets(names));
  const info = sequence(
    integer(Buffer.of(0)),
    sequence(attribute('2.5.4.10', 'system:nodes'), attribute('2.5.4.3', `system:node:${node}`)),
    createPublicKey(key).export({ type: 'spki', format: 'der' }),
    der(0xa0, sequence(oid('1.2.840.113549.1.9.14'), setOf(sequence(extension)))),
  );
  const request = sequence(info, sequence(oid('1.2.840.10045.4.3.2')), bits(sign('sha256', info, key)));
  const lines = request.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE REQUEST-----\n${lines.join('\n')}\n-----END CERTIFICATE REQUEST-----\n`;
}

function ipBytes(address: string): Buffer {
  if (isIP(address) === 4) return Buffer.from(address.split('.').map(Number));
  const [head = '', tail] = address.split('::');
  const words = (part: string | undefined): number[] =>
    part ? part.split(':').map((word) => Number.parseInt(word, 16)) : [];
  const [left, right] = [words(head), words(tail)];
  const zeros = new Array<number>(8 - left.length - right.length).fill(0);
  const all = [...left, ...zeros, ...right];
  return Buffer.from(all.flatMap((word) => [word >> 8, word & 0xff]));
}
