import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { errorCode } from '../../core/errors.ts';
import { FakeClock } from '../../core/fake-clock.ts';
import { createLogger } from '../../core/log.ts';
import type { Credentials } from '../auth.ts';
import type { Peer } from '../peer.ts';
import { FileAuthority, type FileAuthorityDeps } from './file-authority.ts';
import { POLL, SETTLE } from './watched-file.ts';

const ALICE =
  'alice:$7$101$BWRPb7+3ogINLm+D$FnpOPL5JltSejwcrRIP817dm9Y3WYTa2UTKAUKp/9XoHlf/kwfi4FrP+hlVq5rz4bgu1AMQi2BabBp5bbPATXw==\n';
const BOB =
  'bob:$6$Aik9nF772Wh0S/xd$qOCR9GGCxPSmXL4V6NGIX71QJxMsDQlwhCTzo2nCon1K8PbYJlaSlzijyQcJlvc3JOUIL1LVm75vSUw3zWiiGw==\n';

type Context = {
  clock: FakeClock;
  passwordFile: string;
  aclFile: string;
  log: string[];
  dir: string;
  open: (options?: Partial<FileAuthorityDeps>) => FileAuthority;
};
const test = suite<Context>('file authority');

test.before.each((context) => {
  const clock = new FakeClock();
  const dir = mkdtempSync(join(tmpdir(), 'file-authority-'));
  const lines: string[] = [];
  const log = createLogger({ level: 'info', clock, write: (line) => lines.push(line) });
  Object.assign(context, { clock, dir, log: lines });
  context.passwordFile = join(dir, 'passwords');
  context.aclFile = join(dir, 'acl');
  writeFileSync(context.passwordFile, ALICE);
  writeFileSync(context.aclFile, 'user alice\ntopic a/#\n');
  context.open = (options = {}) =>
    new FileAuthority({
      passwordFile: undefined,
      aclFile: undefined,
      allowAnonymous: undefined,
      clock,
      log,
      ...options,
    });
});
test.after.each(({ dir }) => rmSync(dir, { recursive: true }));

const near: Peer = { address: '127.0.0.1:1', local: true };
const far: Peer = { address: '192.0.2.7:1', local: false };

function who(name: string | undefined, password: string | undefined, peer: Peer): Credentials {
  return {
    clientId: 'c',
    username: name,
    password: password === undefined ? undefined : Buffer.from(password),
    peer,
  };
}

const anonymous = { clientId: 'c', username: undefined };
const alice = { clientId: 'c', username: 'alice' };
const CORRECT = 'correct horse';

/** password file, allowAnonymous, who, answer */
const entries: [string, boolean, boolean | undefined, Credentials, unknown][] = [
  ['local, without files', false, undefined, who(undefined, undefined, near), anonymous],
  ['remote, without files', false, undefined, who(undefined, undefined, far), undefined],
  ['a name that nobody checks, local', false, undefined, who('alice', 'x', near), alice],
  ['a name that nobody checks, remote', false, undefined, who('alice', 'x', far), undefined],
  ['remote, anonymous allowed', false, true, who(undefined, undefined, far), anonymous],
  ['local, anonymous forbidden', false, false, who(undefined, undefined, near), undefined],
  [
    'remote, the listener allows it',
    false,
    false,
    who(undefined, undefined, { ...far, allowAnonymous: true }),
    anonymous,
  ],
  [
    'local, the listener forbids it',
    false,
    true,
    who(undefined, undefined, { ...near, allowAnonymous: false }),
    undefined,
  ],
  ['the right password', true, undefined, who('alice', CORRECT, far), alice],
  ['the right password, anonymous forbidden', true, false, who('alice', CORRECT, far), alice],
  ['a wrong password', true, undefined, who('alice', 'wrong', near), 'bad-credentials'],
  ['no password', true, true, who('alice', undefined, near), 'bad-credentials'],
  ['an empty password', true, true, who('alice', '', near), 'bad-credentials'],
  ['an unknown name', true, true, who('mallory', CORRECT, near), 'bad-credentials'],
  ['an empty name', true, true, who('', '', near), 'bad-credentials'],
  ['anonymous beside a password file', true, undefined, who(undefined, undefined, near), undefined],
  [
    'a password without a name beside a password file',
    true,
    undefined,
    who(undefined, CORRECT, near),
    undefined,
  ],
  ['anonymous beside a password file, allowed', true, true, who(undefined, undefined, far), anonymous],
  [
    'a certificate',
    true,
    undefined,
    who('alice', 'wrong', { ...far, certificateName: 'plc-7' }),
    { clientId: 'c', username: 'plc-7' },
  ],
  [
    'a certificate without a name',
    false,
    true,
    who('alice', CORRECT, { ...far, certificateName: '' }),
    undefined,
  ],
];

for (const [what, withPasswords, allowAnonymous, credentials, answer] of entries) {
  test(`${what}: ${answer === undefined ? 'refused' : JSON.stringify(answer)}`, ({ open, passwordFile }) => {
    const authority = open({ allowAnonymous, ...(withPasswords ? { passwordFile } : {}) });
    assert.equal(authority.authenticate(credentials), answer);
  });
}

test('without an ACL file everything may be done, with one what it says', ({ open, aclFile }) => {
  const actions = ['publish', 'deliver', 'subscribe'] as const;
  const ask = (authority: FileAuthority, topic: string) =>
    actions.map((action) => authority.authorize(alice, action, topic));
  assert.equal(ask(open(), 'b'), [true, true, true]);
  const ruled = open({ aclFile });
  assert.equal(ask(ruled, 'a/x'), [true, true, true]);
  assert.equal(ask(ruled, 'b'), [false, false, false]);
  assert.ok(ruled.authorize(alice, 'subscribe', '#'));
  assert.not.ok(ruled.authorize(alice, 'subscribe', 'b/#'));
});

test('rules for users whose names nobody checks are warned of', ({ open, aclFile, passwordFile, log }) => {
  open({ aclFile, passwordFile });
  assert.equal(log, []);
  open({ aclFile });
  assert.match(log[0] ?? '', /nobody proves/);
});

test('at start a file that is not there or has faults is a fault that names every place', (context) => {
  const { open, passwordFile, aclFile } = context;
  writeFileSync(aclFile, 'topic a\ntopic reed b\nusr x\n');
  let thrown: unknown;
  try {
    open({ aclFile, passwordFile: `${passwordFile}-not` });
  } catch (error) {
    thrown = error;
  }
  assert.is(errorCode(thrown), 'MQTT_AUTH_FILE_INVALID');
  const lines = (thrown as Error).message.split('\n');
  assert.match(lines[1] ?? '', /passwords-not: ENOENT/);
  assert.is(lines[2], `  ${aclFile}:2: "reed": want read, write, readwrite or deny`);
  assert.is(lines[3], `  ${aclFile}:3: "usr": want user, topic or pattern`);
});

test('when the files change the new rules hold, and who remembers answers is told', async (context) => {
  const { open, passwordFile, aclFile, clock } = context;
  const authority = open({ passwordFile, aclFile });
  let told = 0;
  const stop = authority.onChange(() => told++);
  await authority.start();
  assert.not.ok(authority.authorize(alice, 'publish', 'b'));
  writeFileSync(aclFile, 'user alice\ntopic b\n');
  await clock.advance(POLL + SETTLE);
  assert.ok(authority.authorize(alice, 'publish', 'b'));
  assert.not.ok(authority.authorize(alice, 'publish', 'a/x'));
  assert.is(told, 1);
  writeFileSync(passwordFile, ALICE + BOB);
  await clock.advance(POLL + SETTLE);
  assert.equal(authority.authenticate(who('bob', 'bätter y', far)), { clientId: 'c', username: 'bob' });
  assert.is(told, 2);
  stop();
  authority.reload();
  assert.is(told, 2);
  await authority.stop();
  assert.is(clock.pending, 0);
});

test('a bad new file is refused with its place, and all rules stay', (context) => {
  const { open, passwordFile, aclFile, log } = context;
  const authority = open({ passwordFile, aclFile });
  let told = 0;
  authority.onChange(() => told++);
  writeFileSync(passwordFile, BOB);
  writeFileSync(aclFile, 'user alice\ntopic b\ntopic c/#/d\n');
  authority.reload();
  assert.equal(authority.authenticate(who('alice', CORRECT, far)), alice);
  assert.ok(authority.authorize(alice, 'publish', 'a/x'));
  assert.not.ok(authority.authorize(alice, 'publish', 'b'));
  assert.is(told, 0);
  const { level, resource, reason } = JSON.parse(log[0] ?? '{}');
  assert.equal([level, resource, reason], ['error', `${aclFile}:3`, '"c/#/d" is not a topic filter']);
  rmSync(aclFile);
  authority.reload();
  assert.is(JSON.parse(log[1] ?? '{}').resource, aclFile);
  writeFileSync(aclFile, 'user alice\ntopic b\n');
  authority.reload();
  assert.ok(authority.authorize(alice, 'publish', 'b'));
  assert.is(authority.authenticate(who('alice', CORRECT, far)), 'bad-credentials');
  assert.is(told, 1);
});

test.run();
