import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { elements } from '../../runtime/wire/der.ts';
import type { Subject } from './certificate.ts';

const COMMON_NAME = '550403';
const ORGANIZATION = '55040a';
const EXTENSION_REQUEST = '2a864886f70d01090e';
const ALTERNATIVE_NAMES = '551d11';
const IP_ADDRESS = 0x87;

export type CertificateRequest = {
  readonly subject: Subject;
  readonly publicKey: KeyObject;
  /** IP addresses in hexadecimal digits; a name of any other kind is `other`. */
  readonly names: readonly string[];
};

/** What a certificate request asks for, its signature checked: whoever sent it holds the key.
 * @returns undefined when it is none, or its signature does not fit
 * @source RFC 2986 §4 */
export function parseRequest(bytes: Buffer): CertificateRequest | undefined {
  try {
    const [info, , signature] = elements(elements(bytes)[0]?.content ?? Buffer.alloc(0));
    const [, subject, spki, attributes] = elements(info?.content ?? Buffer.alloc(0));
    if (!info || !subject || !spki || signature?.tag !== 0x03) return undefined;
    const publicKey = createPublicKey({ key: Buffer.from(spki.whole), format: 'der', type: 'spki' });
    // The first byte counts the unused bits of the last: none.
    if (!verify('sha256', info.whole, publicKey, signature.content.subarray(1))) return undefined;
    const names = attributes ? alternativeNames(attributes.content) : [];
    return { subject: nameOf(subject.content), publicKey, names };
  } catch {
    return undefined;
  }
}

/** @source RFC 2985 §5.4.2, RFC 5280 §4.2.1.6 */
function alternativeNames(attributes: Buffer): string[] {
  const names: string[] = [];
  for (const attribute of elements(attributes)) {
    const [type, values] = elements(attribute.content);
    if (type?.content.toString('hex') !== EXTENSION_REQUEST || !values) continue;
    for (const extension of elements(values.content).flatMap(({ content }) => elements(content))) {
      const parts = elements(extension.content);
      if (parts[0]?.content.toString('hex') !== ALTERNATIVE_NAMES) continue;
      const list = elements(parts.at(-1)?.content ?? Buffer.alloc(0))[0];
      for (const { tag, content } of elements(list?.content ?? Buffer.alloc(0)))
        names.push(tag === IP_ADDRESS ? content.toString('hex') : 'other');
    }
  }
  return names;
}

function nameOf(content: Buffer): Subject {
  const values = new Map<string, string>();
  for (const set of elements(content)) {
    const [type, value] = elements(elements(set.content)[0]?.content ?? Buffer.alloc(0));
    if (type && value) values.set(type.content.toString('hex'), value.content.toString());
  }
  const organization = values.get(ORGANIZATION);
  return { commonName: values.get(COMMON_NAME) ?? '', ...(organization ? { organization } : {}) };
}
