import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { FakeClock } from '../core/fake-clock.ts';
import { silentLogger } from '../core/log.ts';
import { Metrics } from '../core/metrics.ts';
import { FileAuthority } from './auth/file-authority.ts';
import { Broker } from './broker.ts';
import { TestClient } from './test-client.ts';

type Context = { dir: string; broker: Broker; authority: FileAuthority; rule: (text: string) => void };
const test = suite<Context>('who may do what');

const PASSWORDS = `alice:$7$101$BWRPb7+3ogINLm+D$FnpOPL5JltSejwcrRIP817dm9Y3WYTa2UTKAUKp/9XoHlf/kwfi4FrP+hlVq5rz4bgu1AMQi2BabBp5bbPATXw==
bob:$6$Aik9nF772Wh0S/xd$qOCR9GGCxPSmXL4V6NGIX71QJxMsDQlwhCTzo2nCon1K8PbYJlaSlzijyQcJlvc3JOUIL1LVm75vSUw3zWiiGw==`;
const alice = { username: 'alice', password: Buffer.from('correct horse') };
const bob = { username: 'bob', password: Buffer.from('bätter y') };

test.before.each((context) => {
  const clock = new FakeClock();
  context.dir = mkdtempSync(join(tmpdir(), 'broker-access-'));
  const [passwordFile, aclFile] = [join(context.dir, 'passwords'), join(context.dir, 'acl')];
  writeFileSync(passwordFile, PASSWORDS);
  context.rule = (text) => writeFileSync(aclFile, text);
  context.rule('user alice\ntopic #\nuser bob\ntopic read open/#\ntopic write up\n');
  const common = { clock, log: silentLogger };
  context.authority = new FileAuthority({ ...common, passwordFile, aclFile, allowAnonymous: undefined });
  context.broker = new Broker({
    ...common,
    listeners: [],
    authority: context.authority,
    metrics: new Metrics(),
  });
});
test.after.each(async ({ broker, dir }) => {
  await broker.stop();
  rmSync(dir, { recursive: true });
});

const refusals: [string, object, number, number][] = [
  ['a wrong password', { ...alice, password: Buffer.from('wrong') }, 4, 0x86],
  ['an unknown user', { ...alice, username: 'mallory' }, 4, 0x86],
  ['no name', {}, 5, 0x87],
  [
    'a will that may not be published',
    { ...bob, will: { topic: 'open/x', payload: Buffer.from('x'), qos: 0, retain: false } },
    5,
    0x87,
  ],
];

for (const [what, credentials, before5, in5] of refusals) {
  for (const version of [3, 4, 5] as const) {
    test(`v${version}: ${what} is answered with ${version === 5 ? in5 : before5}`, async ({ broker }) => {
      const client = new TestClient(broker, version);
      const connack = await client.connect('c', credentials);
      assert.is(
        connack.cmd === 'connack' && (connack.returnCode || connack.reasonCode),
        version === 5 ? in5 : before5,
      );
      await client.ended();
    });
  }
}

async function connected(broker: Broker, id: string, options: object): Promise<TestClient> {
  const client = new TestClient(broker, 5);
  const connack = await client.connect(id, options);
  assert.is(connack.cmd === 'connack' && connack.reasonCode, 0);
  return client;
}

async function topicsOf(client: TestClient): Promise<string[]> {
  await client.settled();
  return client.received.splice(0).map((packet) => (packet.cmd === 'publish' ? packet.topic : packet.cmd));
}

test('a wide subscription gets what may be read: live, retained and shared', async ({ broker }) => {
  const writer = await connected(broker, 'w', alice);
  const reader = await connected(broker, 'r', bob);
  await reader.subscribe('#');
  for (const retain of [false, true]) {
    for (const topic of ['open/1', 'secret', 'open/2']) writer.publish(topic, 'x', { retain });
  }
  await writer.settled();
  assert.equal(await topicsOf(reader), ['open/1', 'open/2', 'open/1', 'open/2']);
  const late = await connected(broker, 'l', bob);
  await late.subscribe('+/+');
  assert.equal(await topicsOf(late), ['open/1', 'open/2']);
  await late.subscribe('$share/g/#');
  await writer.subscribe('$share/g/#');
  await topicsOf(writer);
  for (let i = 0; i < 4; i++) writer.publish('secret', 'x');
  assert.equal(await topicsOf(writer), ['secret', 'secret', 'secret', 'secret']);
  assert.equal(await topicsOf(late), []);
});

test('a subscription of which nothing may be read is refused', async ({ broker }) => {
  const reader = await connected(broker, 'r', bob);
  assert.equal(((await reader.subscribe('secret/#')) as { granted: unknown }).granted, [0x87]);
  assert.equal(((await reader.subscribe('open/+/x')) as { granted: unknown }).granted, [0]);
});

test('new rules hold at once for those who are connected', async ({ broker, rule, authority }) => {
  const writer = await connected(broker, 'w', alice);
  const reader = await connected(broker, 'r', bob);
  await reader.subscribe('#');
  rule('user alice\ntopic #\nuser bob\ntopic read secret\n');
  authority.reload();
  for (const topic of ['open/1', 'secret']) writer.publish(topic, 'x');
  await writer.settled();
  assert.equal(await topicsOf(reader), ['secret']);
  reader.publish('up', 'x', { qos: 1, messageId: 1 });
  assert.is((await reader.next('puback')).reasonCode, 0x87);
});

test('a session is resumed by its user only', async ({ broker }) => {
  const kept = { clean: false, properties: { sessionExpiryInterval: 600 } };
  const first = await connected(broker, 'shared-id', { ...alice, ...kept });
  await first.subscribe('secret', 1);
  first.drop();
  const writer = await connected(broker, 'w', alice);
  writer.publish('secret', 'x', { qos: 1, messageId: 1 });
  await writer.next('puback');
  const thief = new TestClient(broker, 5);
  const connack = await thief.connect('shared-id', { ...bob, ...kept });
  assert.is(connack.cmd === 'connack' && connack.sessionPresent, false);
  assert.equal(await topicsOf(thief), []);
});

test.run();
