import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { stringify } from 'yaml';
import { EdgeError } from '../../runtime/core/errors.ts';
import { type ClusterAccess, loadAccess } from './kubeconfig.ts';

type Context = {
  directory: string;
  access: (user: Record<string, unknown>, cluster?: Record<string, unknown>) => ClusterAccess;
};
const test = suite<Context>('kubeconfig');

test.before.each((context) => {
  context.directory = mkdtempSync(join(tmpdir(), 'kubeconfig-'));
  context.access = (user, cluster = {}) => {
    const path = join(context.directory, 'config');
    writeFileSync(path, configText(user, cluster));
    return loadAccess(path);
  };
});
test.after.each(({ directory }) => rmSync(directory, { recursive: true }));

function configText(user: unknown, cluster: Record<string, unknown>, current = 'here'): string {
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      { name: 'other', cluster: { server: 'https://other' } },
      { name: 'c', cluster: { server: 'https://api.example:6443/', ...cluster } },
    ],
    users: [{ name: 'u', user }],
    contexts: [
      { name: 'there', context: { cluster: 'other', user: 'u' } },
      { name: 'here', context: { cluster: 'c', user: 'u' } },
    ],
    'current-context': current,
  });
}
const base64 = (text: string): string => Buffer.from(text).toString('base64');

test('the current context says where and who', ({ access }) => {
  const found = access(
    { 'client-certificate-data': base64('CERT'), 'client-key-data': base64('KEY') },
    { 'certificate-authority-data': base64('CA') },
  );
  const { token, ...rest } = found;
  assert.equal(rest, {
    server: 'https://api.example:6443',
    ca: 'CA',
    insecure: false,
    cert: 'CERT',
    key: 'KEY',
  });
  assert.is(token(), undefined);
});

test('files are named relative to the kubeconfig, and data comes before them', ({ directory, access }) => {
  for (const name of ['ca', 'cert', 'key']) writeFileSync(join(directory, name), `${name} of the file`);
  const files = { 'client-certificate': 'cert', 'client-key': join(directory, 'key') };
  const found = access(
    { ...files, 'client-certificate-data': base64('data') },
    { 'certificate-authority': './ca' },
  );
  assert.equal([found.ca, found.cert, found.key], ['ca of the file', 'data', 'key of the file']);
});

test('a token stands in the file, or in one beside it that is read each time and counts more', ({
  directory,
  access,
}) => {
  assert.is(access({ token: 'fixed' }).token(), 'fixed');
  writeFileSync(join(directory, 'token'), 'one\n');
  const { token } = access({ token: 'fixed', tokenFile: 'token' });
  assert.is(token(), 'one');
  writeFileSync(join(directory, 'token'), 'two\n');
  assert.is(token(), 'two');
});

test('who wants no check of the certificate says so with true', ({ access }) => {
  assert.is(access({}, { 'insecure-skip-tls-verify': true }).insecure, true);
  assert.is(access({}, { 'insecure-skip-tls-verify': 'yes' }).insecure, false);
});

function failure(path: string): string {
  try {
    loadAccess(path);
  } catch (error) {
    if (error instanceof EdgeError && error.code === 'CONFIG_UNREADABLE') return error.message;
    throw error;
  }
  throw new Error('it was read');
}

const faults: [string, string, RegExp][] = [
  ['an empty file', '', /it is empty/],
  ['a context that is not there', configText({}, {}, 'nowhere'), /it has no context "nowhere"/],
  ['no context', stringify({ apiVersion: 'v1', kind: 'Config' }), /it has no context/],
  [
    'a user that runs a program',
    configText({ exec: { command: 'aws' } }, {}),
    /exec or auth-provider are not offered/,
  ],
  [
    'a user of a provider',
    configText({ 'auth-provider': { name: 'gcp' } }, {}),
    /exec or auth-provider are not offered/,
  ],
  ['a user that is none', configText('nobody', {}), /it has no user "u"/],
  ['a certificate that is not there', configText({ 'client-certificate': 'none.crt' }, {}), /none\.crt/],
  ['what is no YAML', 'a: [', /kubeconfig .*config/],
];
for (const [what, text, message] of faults) {
  test(`${what} is named with the file`, ({ directory }) => {
    const path = join(directory, 'config');
    writeFileSync(path, text);
    const told = failure(path);
    assert.match(told, message);
    assert.ok(told.includes(path), told);
  });
}

test('a file that is not there is named', () => {
  assert.match(failure('/nowhere/kubeconfig'), /\/nowhere\/kubeconfig/);
});

test.run();
