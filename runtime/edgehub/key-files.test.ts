import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { issueTestCertificate } from '../wire/test-certificate.ts';
import { KeyFiles, type KeyPair } from './key-files.ts';

type Context = { dir: string; certFile: string; keyFile: string; files: KeyFiles };
const test = suite<Context>('key files');

test.before.each((context) => {
  context.dir = mkdtempSync(join(tmpdir(), 'key-files-'));
  context.certFile = join(context.dir, 'server.crt');
  context.keyFile = join(context.dir, 'server.key');
  context.files = new KeyFiles(context);
});
test.after.each(({ dir }) => rmSync(dir, { recursive: true }));

function newPair(): KeyPair {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  const der = issueTestCertificate('system:node:edge-1', spki, { name: 'ca', key: privateKey });
  const key = privateKey.export({ type: 'sec1', format: 'pem' }).toString();
  return { cert: new X509Certificate(der).toString(), key };
}

test('what was stored is there, for its owner alone', ({ files, certFile, keyFile }) => {
  assert.is(files.load(), undefined);
  const pair = newPair();
  files.store(pair);
  assert.equal(files.load(), pair);
  for (const path of [certFile, keyFile]) assert.is(statSync(path).mode & 0o777, 0o600);
  assert.not(existsSync(`${certFile}.next`));
});

test('at whatever step of a replacement the power goes, a pair that fits is left', ({
  dir,
  certFile,
  keyFile,
}) => {
  const [old, next] = [newPair(), newPair()];
  const journal = JSON.stringify(next);
  // The states of the disk between two steps, and torn ones.
  const states: [string, Record<string, string>, KeyPair][] = [
    ['the new pair is half written', { 'server.crt.next.new': journal.slice(0, 300) }, old],
    ['it is torn in place', { 'server.crt.next': journal.slice(0, 300) }, old],
    ['it is there', { 'server.crt.next': journal }, next],
    ['the key is replaced', { 'server.crt.next': journal, 'server.key': next.key }, next],
    ['a key is half written', { 'server.crt.next': journal, 'server.key.new': next.key.slice(0, 50) }, next],
    [
      'both are replaced',
      { 'server.crt.next': journal, 'server.key': next.key, 'server.crt': next.cert },
      next,
    ],
    ['it is done', { 'server.key': next.key, 'server.crt': next.cert }, next],
  ];
  for (const [what, changed, expected] of states) {
    rmSync(dir, { recursive: true });
    new KeyFiles({ certFile, keyFile }).store(old);
    for (const [name, text] of Object.entries(changed)) writeFileSync(join(dir, name), text);
    assert.equal(new KeyFiles({ certFile, keyFile }).load(), expected, what);
    assert.is(readFileSync(certFile, 'utf8'), expected.cert, what);
    assert.is(readFileSync(keyFile, 'utf8'), expected.key, what);
  }
});

test('files that do not fit together are no pair', ({ files, keyFile }) => {
  files.store(newPair());
  writeFileSync(keyFile, newPair().key);
  assert.is(files.load(), undefined);
});

test.run();
