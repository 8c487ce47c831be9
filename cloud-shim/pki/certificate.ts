import {
  createHash,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
} from 'node:crypto';
import { isIPv4, isIPv6 } from 'node:net';
import {
  bits,
  boolean,
  der,
  integer,
  octets,
  oid,
  sequence,
  setOf,
  time,
  utf8,
} from '../../runtime/wire/der.ts';

/** A key and the certificate for it, PEM. */
export type KeyPair = { readonly key: string; readonly cert: string };

export type Subject = { readonly commonName: string; readonly organization?: string };

export type CertificateRequest = {
  readonly subject: Subject;
  readonly usage: 'ca' | 'server' | 'client';
  /** DNS names and IP addresses of a server. */
  readonly hosts?: readonly string[];
  /** ms since epoch. */
  readonly notBefore: number;
  readonly notAfter: number;
};

export type Issuer = { readonly subject: Subject; readonly key: KeyObject };

const OID = {
  ecdsaSha256: '1.2.840.10045.4.3.2',
  commonName: '2.5.4.3',
  organization: '2.5.4.10',
  subjectKeyId: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyId: '2.5.29.35',
  extKeyUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
};

/** Makes a fresh EC P-256 key. */
export function newKey(): KeyObject {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
}

export function keyPem(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString();
}

/** Issues an X.509 v3 certificate for `key`, signed by `issuer` (the same key makes it self-signed).
 * @returns PEM
 * @source RFC 5280 §4.1 */
export function issueCertificate(request: CertificateRequest, key: KeyObject, issuer: Issuer): string {
  return pem(certificateDer(request, key, issuer));
}

/** The same in DER. @param key the subject's, private or public */
export function certificateDer(request: CertificateRequest, key: KeyObject, issuer: Issuer): Buffer {
  const algorithm = sequence(oid(OID.ecdsaSha256));
  const body = sequence(
    der(0xa0, integer(Buffer.of(2))),
    integer(Buffer.concat([Buffer.of(0x01), randomBytes(15)])),
    algorithm,
    name(issuer.subject),
    sequence(time(request.notBefore), time(request.notAfter)),
    name(request.subject),
    publicKeyInfo(key),
    der(0xa3, sequence(...extensions(request, key, issuer.key))),
  );
  const signature = sign('sha256', body, issuer.key);
  return sequence(body, algorithm, bits(signature));
}

function name(subject: Subject): Buffer {
  const part = (type: string, value: string): Buffer => setOf(sequence(oid(type), utf8(value)));
  const organization = subject.organization ? [part(OID.organization, subject.organization)] : [];
  return sequence(...organization, part(OID.commonName, subject.commonName));
}

function publicKeyInfo(key: KeyObject): Buffer {
  const publicKey = key.type === 'public' ? key : createPublicKey(key);
  return publicKey.export({ type: 'spki', format: 'der' });
}

function keyId(key: KeyObject): Buffer {
  return createHash('sha1').update(publicKeyInfo(key)).digest();
}

function extensions(request: CertificateRequest, key: KeyObject, issuerKey: KeyObject): Buffer[] {
  const ca = request.usage === 'ca';
  const list = [
    extension(OID.basicConstraints, true, ca ? sequence(boolean(true)) : sequence()),
    // keyCertSign and cRLSign for a CA, else digitalSignature.
    extension(OID.keyUsage, true, ca ? bits(Buffer.of(0x06), 1) : bits(Buffer.of(0x80), 7)),
    extension(OID.subjectKeyId, false, octets(keyId(key))),
    extension(OID.authorityKeyId, false, sequence(der(0x80, keyId(issuerKey)))),
  ];
  if (!ca) {
    const purpose = request.usage === 'server' ? OID.serverAuth : OID.clientAuth;
    list.push(extension(OID.extKeyUsage, false, sequence(oid(purpose))));
  }
  const hosts = request.hosts ?? [];
  if (hosts.length > 0) list.push(extension(OID.subjectAltName, false, sequence(...hosts.map(generalName))));
  return list;
}

function extension(type: string, critical: boolean, value: Buffer): Buffer {
  return sequence(oid(type), ...(critical ? [boolean(true)] : []), octets(value));
}

function generalName(host: string): Buffer {
  if (isIPv4(host)) return der(0x87, Buffer.from(host.split('.').map(Number)));
  if (isIPv6(host)) return der(0x87, ipv6Bytes(host));
  return der(0x82, Buffer.from(host));
}

function ipv6Bytes(address: string): Buffer {
  const [head = '', tail] = address.split('::');
  const groups = (text: string): number[] =>
    text === '' ? [] : text.split(':').map((g) => Number.parseInt(g, 16));
  const left = groups(head);
  const right = groups(tail ?? '');
  const zeros = new Array<number>(Math.max(0, 8 - left.length - right.length)).fill(0);
  return Buffer.from([...left, ...zeros, ...right].flatMap((group) => [group >> 8, group & 0xff]));
}

function pem(content: Buffer): string {
  const lines = content.toString('base64').replace(/(.{64})/g, '$1\n');
  return `-----BEGIN CERTIFICATE-----\n${lines.trimEnd()}\n-----END CERTIFICATE-----\n`;
}
