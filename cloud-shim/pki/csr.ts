import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { elements } from '../../runtime/wire/der.ts';
import type { Subject } from './certificate.ts';

const COMMON_NAME = '550403';
const ORGANIZATION = '55040a';

/** What a certificate request asks for, its signature checked: whoever sent it holds the key.
 * @returns undefined when it is none, or its signature does not fit
 * @source RFC 2986 §4 */
export function parseRequest(bytes: Buffer): { subject: Subject; publicKey: KeyObject } | undefined {
  try {
    const [info, , signature] = elements(elements(bytes)[0]?.content ?? Buffer.alloc(0));
    const [, subject, spki] = elements(info?.content ?? Buffer.alloc(0));
    if (!info || !subject || !spki || signature?.tag !== 0x03) return undefined;
    const publicKey = createPublicKey({ key: Buffer.from(spki.whole), format: 'der', type: 'spki' });
    // The first byte counts the unused bits of the last: none.
    if (!verify('sha256', info.whole, publicKey, signature.content.subarray(1))) return undefined;
    return { subject: nameOf(subject.content), publicKey };
  } catch {
    return undefined;
  }
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
