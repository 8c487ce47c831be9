import { createPrivateKey, X509Certificate } from 'node:crypto';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { elements } from '../../runtime/wire/der.ts';
import { type CertificateRequest, certificateDer, issueCertificate, keyPem, newKey } from './certificate.ts';

const from = Date.UTC(2026, 0, 1);
const to = Date.UTC(2049, 11, 31, 23, 59, 59);
const caKey = newKey();
const issuer = { subject: { commonName: 'ca', organization: 'Org' }, key: caKey };
const validity = { notBefore: from, notAfter: to };
const ca = new X509Certificate(
  issueCertificate({ subject: issuer.subject, usage: 'ca', ...validity }, caKey, issuer),
);

function issued(more: Partial<CertificateRequest> = {}): {
  certificate: X509Certificate;
  key: ReturnType<typeof newKey>;
} {
  const key = newKey();
  const request = { subject: { commonName: 'leaf' }, usage: 'server', ...validity, ...more } as const;
  return { certificate: new X509Certificate(issueCertificate(request, key, issuer)), key };
}

test('a CA signs itself and may sign others', () => {
  assert.ok(ca.ca);
  assert.ok(ca.checkIssued(ca));
  assert.ok(ca.verify(ca.publicKey));
  assert.is(ca.subject, 'O=Org\nCN=ca');
});

test('a leaf is of its issuer, for its key, and no CA', () => {
  const { certificate, key } = issued({ subject: { commonName: 'x', organization: 'y' } });
  assert.not(certificate.ca);
  assert.ok(certificate.checkIssued(ca));
  assert.ok(certificate.verify(ca.publicKey));
  assert.not(certificate.verify(newPublic()));
  assert.ok(certificate.checkPrivateKey(key));
  assert.is(certificate.subject, 'O=y\nCN=x');
  assert.is(certificate.issuer, 'O=Org\nCN=ca');
});

function newPublic() {
  return new X509Certificate(
    issueCertificate({ subject: issuer.subject, usage: 'ca', ...validity }, newKey(), {
      ...issuer,
      key: newKey(),
    }),
  ).publicKey;
}

test('a certificate for a public key alone is issued too', () => {
  const { certificate } = issued();
  const again = certificateDer(
    { subject: { commonName: 'b' }, usage: 'client', ...validity },
    certificate.publicKey,
    issuer,
  );
  assert.equal(
    new X509Certificate(again).publicKey.export({ type: 'spki', format: 'der' }),
    certificate.publicKey.export({ type: 'spki', format: 'der' }),
  );
});

for (const [usage, purpose] of [
  ['server', '1.3.6.1.5.5.7.3.1'],
  ['client', '1.3.6.1.5.5.7.3.2'],
] as const) {
  test(`the purpose of a ${usage} certificate is ${purpose}`, () => {
    assert.equal(issued({ usage }).certificate.keyUsage, [purpose]);
  });
}

test('hosts are names or addresses, as they look', () => {
  const { certificate } = issued({ hosts: ['edge.example', '192.0.2.1', '2001:db8::1', '::1', '::'] });
  assert.is(
    certificate.subjectAltName,
    'DNS:edge.example, IP Address:192.0.2.1, IP Address:2001:DB8:0:0:0:0:0:1, IP Address:0:0:0:0:0:0:0:1, IP Address:0:0:0:0:0:0:0:0',
  );
  assert.is(certificate.checkHost('edge.example'), 'edge.example');
  assert.is(certificate.checkHost('other.example'), undefined);
  assert.is(certificate.checkIP('192.0.2.1'), '192.0.2.1');
  assert.is(certificate.checkIP('2001:db8::1'), '2001:db8::1');
  assert.is(certificate.checkIP('192.0.2.2'), undefined);
});

test('without hosts none are named', () => assert.is(issued().certificate.subjectAltName, undefined));

/** UTCTime 0x17 until 2049, GeneralizedTime 0x18 after. @source RFC 5280 §4.1.2.5 */
for (const [notAfter, text, tag] of [
  [to, 'Dec 31 23:59:59 2049 GMT', 0x17],
  [to + 1000, 'Jan  1 00:00:00 2050 GMT', 0x18],
  [Date.UTC(2125, 5, 1), 'Jun  1 00:00:00 2125 GMT', 0x18],
] as const) {
  test(`a certificate ends at ${text}`, () => {
    const { certificate } = issued({ notAfter });
    assert.is(certificate.validTo, text);
    assert.is(certificate.validFrom, 'Jan  1 00:00:00 2026 GMT');
    const body = elements(elements(certificate.raw)[0]?.content ?? Buffer.alloc(0))[0];
    const times = elements(elements(body?.content ?? Buffer.alloc(0))[4]?.content ?? Buffer.alloc(0));
    assert.equal(
      times.map((time) => time.tag),
      [0x17, tag],
    );
  });
}

test('serial numbers are positive, long and different', () => {
  const [a, b] = [issued().certificate.serialNumber, issued().certificate.serialNumber];
  assert.is.not(a, b);
  for (const serial of [a, b]) assert.match(serial, /^01[0-9A-F]{30}$/);
});

test('a key is written as PKCS#8 on P-256', () => {
  const key = newKey();
  const text = keyPem(key);
  assert.match(text, /^-----BEGIN PRIVATE KEY-----\n/);
  assert.is(createPrivateKey(text).asymmetricKeyDetails?.namedCurve, 'prime256v1');
});

test.run();
