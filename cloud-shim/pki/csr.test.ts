import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { newKey } from './certificate.ts';
import { parseRequest } from './csr.ts';
import { requestOf } from './test-request.ts';

/** `openssl req -new -subj /O=system:nodes/CN=system:node:edge-1` with a key on P-256. */
const node = [
  'MIHuMIGWAgEAMDQxFTATBgNVBAoMDHN5c3RlbTpub2RlczEbMBkGA1UEAwwSc3lzdGVtOm5vZGU6ZWRnZS0xMFkwEwYHKoZI',
  'zj0CAQYIKoZIzj0DAQcDQgAEyZw7tC995kIOrCNGPni6mPnV4xuzDI1dusPtFh+ObXo4j04eXqdyLYMrEJ4+4MnGGPPd4NSr',
  'XMgn4vDtY6gSg6AAMAoGCCqGSM49BAMCA0cAMEQCIBXMCvjhX7Xbz/zrUj32sn2jQoN2f1eveNON85TzBfozAiBC1BC9+TBW',
  'v0KGarwb2A5gSikQkttawbt0v1Hza+JayQ==',
].join('');
/** The same key, `/CN=no-org`, with an extension that is asked for. */
const withExtension = [
  'MIHsMIGSAgEAMBExDzANBgNVBAMMBm5vLW9yZzBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABMmcO7QvfeZCDqwjRj54upj5',
  '1eMbswyNXbrD7RYfjm16OI9OHl6nci2DKxCePuDJxhjz3eDUq1zIJ+Lw7WOoEoOgHzAdBgkqhkiG9w0BCQ4xEDAOMAwGA1Ud',
  'EQQFMAOCAXgwCgYIKoZIzj0EAwIDSQAwRgIhAKG0eOgXQ4hYqcbUlXBk8TnRsAF0BfSUyBfzWMwgQlR5AiEAsPOqf1EdG97m',
  '2WCsETQEz0oIHdE7R/zdoRncezftPl8=',
].join('');
/** `/C=CN/O=KubeEdge/CN=kubeedge.io` with an RSA key of 2048 bits. */
const rsa = [
  'MIICezCCAWMCAQAwNjELMAkGA1UEBhMCQ04xETAPBgNVBAoMCEt1YmVFZGdlMRQwEgYDVQQDDAtrdWJlZWRnZS5pbzCCASIw',
  'DQYJKoZIhvcNAQEBBQADggEPADCCAQoCggEBAKpR/NbBURqBQ3vy9/fsKPZu+4Eb8OytokCkwrGdgDQkf+J/49T3C79lGJXw',
  'CAKy3SDE7zoACmRjzFn+wu/2J4fOM/KrqPcAZIvaBkoRUoq5uwkb9avHR1KzPGA5hsb9v/3UnNe/dTjgPIDC7jaT7rcR3L3w',
  '9xtb26JXy2nkKtekzRYTsOZG6T41AyXIv0Nz420KZnluH1vMzybY7nLKzpI68usOvWnTuJnPDeMuhUNl6KmI4iw+p/hlieAG',
  'wcwUQZ+FhrDc3Fld+r+PtWk3LtXl+0goQiePpf736Ohmh+jBE5Ka6d3C+gfq+UjCqw6/xq94QG7h46IdJHBAQHJHBysCAwEA',
  'AaAAMA0GCSqGSIb3DQEBCwUAA4IBAQBUpeIwqn5cWO0ZaSzl0/QSg9UQYr70GQWUqVArN87vbyQwqzSGAG9f2JzRvabh4DaG',
  'ocy7pU3hES8P8lhxocOenwcxMVH7oFAedaIgQ9k7U7VKE7SwgQb6L/9AoAcNZpXk+sOuORG9liK5lXQBMeYqetCktnHl7PSq',
  'tK7zt1tOgW4d0XsMh9w2+nACPbjLq5Ftm0VD/Puino4/kDLT2hGGElqB4kKcBUXK9NMqERIF69O+HX37Kt5XhFjYkX7f7866',
  'o6sq4PKBFBKD346x2dy2S2x0lGRouY+nZvGTe0+yyxKieGPqhvAC3LAetDIN/+sOJ8bMxxvZHLuExfjOnQyP',
].join('');

const bytes = (text: string): Buffer => Buffer.from(text, 'base64');
const key = [
  '3059301306072a8648ce3d020106082a8648ce3d03010703420004c99c3bb42f7de6420eac23463e78ba98f9d5e31bb30c8d5d',
  'bac3ed161f8e6d7a388f4e1e5ea7722d832b109e3ee0c9c618f3dde0d4ab5cc827e2f0ed63a81283',
].join('');

test('reads what openssl wrote', () => {
  const request = parseRequest(bytes(node));
  assert.equal(request?.subject, { commonName: 'system:node:edge-1', organization: 'system:nodes' });
  assert.is(request?.publicKey.export({ type: 'spki', format: 'der' }).toString('hex'), key);
});

test('an organization may be missing, and extensions are passed over', () => {
  assert.equal(parseRequest(bytes(withExtension))?.subject, { commonName: 'no-org' });
});

test('an RSA key is as good', () => {
  const request = parseRequest(bytes(rsa));
  assert.equal(request?.subject, { commonName: 'kubeedge.io', organization: 'KubeEdge' });
  assert.is(request?.publicKey.asymmetricKeyType, 'rsa');
});

test('a name outside ASCII is read', () => {
  assert.is(parseRequest(requestOf('knoten-ä', newKey()))?.subject.commonName, 'knoten-ä');
});

test('who changed the name after signing is refused', () => {
  const changed = bytes(node);
  changed.write('edge-2', changed.indexOf('edge-1'));
  assert.is(parseRequest(changed), undefined);
});

test('a signature by another key is refused', () => {
  const [own, other] = [requestOf('a', newKey()), requestOf('a', newKey())];
  const mixed = Buffer.concat([own.subarray(0, 80), other.subarray(80)]);
  assert.is(parseRequest(mixed), undefined);
});

const broken: [string, Buffer][] = [
  ['nothing', Buffer.alloc(0)],
  ['a text', Buffer.from('-----BEGIN CERTIFICATE REQUEST-----')],
  ['a request that is cut', bytes(node).subarray(0, -1)],
  ['an empty sequence', Buffer.from('3000', 'hex')],
  ['an endless length', Buffer.from('30ffffffff', 'hex')],
  ['zeros', Buffer.alloc(200)],
];
for (const [what, content] of broken) {
  test(`${what} is no request`, () => assert.is(parseRequest(content), undefined));
}

test.run();
