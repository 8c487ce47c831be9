import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Channel, type Notes, PushError } from '../../mappers/push/channel.ts';
import { openChannel } from '../../mappers/push/open-channel.ts';
import type { Sample } from '../../mappers/push/sample.ts';
import type { Target } from '../../mappers/push/target.ts';
import { systemClock } from '../../runtime/core/clock.ts';
import { Mosquitto } from '../mqtt/mosquitto.ts';
import { TestCa } from '../mqtt-listeners/certificates.ts';
import { until } from '../program.ts';
import { requireProgram } from '../real-parts.ts';
import { freePorts } from '../stack.ts';
import {
  DATABASE,
  mariadb,
  mariadbAsk,
  mosquitto,
  PASSWORD,
  redis,
  redisAsk,
  type Server,
} from './servers.ts';

const programs = [
  ['redis-server', 'redis-server'],
  ['mariadbd', 'mariadb-server'],
  ['mosquitto', 'mosquitto'],
  ['mosquitto_sub', 'mosquitto-clients'],
] as const;
const hasAll = programs.every(([name, parts]) => requireProgram(name, parts) !== undefined);

const test = suite('one target at a time');
const dir = mkdtempSync(join(tmpdir(), 'edgecore-targets-'));
const ca = new TestCa(dir);
const other = new TestCa(dir, 'other');
let securePort = 0;
let servers: { redis: Server; mariadb: Server; mosquitto: Server };
const opened: Channel[] = [];

async function open(target: Target, password = PASSWORD, userName = '', ca?: string): Promise<Channel> {
  const channel = await openChannel(target, {
    credentials: { userName, password, token: '', ca },
    clock: systemClock,
    broker: { isAt: () => false, publish: async () => {} },
  });
  opened.push(channel);
  return channel;
}

const sample = (value: string, more: Partial<Sample['route']> = {}): Sample => ({
  route: { namespace: 'default', device: 'press', property: 'label', type: 'string', ...more },
  at: Date.UTC(2026, 0, 31),
  n: 0,
  value,
});
const ignore: Notes = { confirmed: () => {}, rejected: () => {} };

async function faultOf(work: Promise<unknown>): Promise<PushError> {
  const error = await work.catch((caught: unknown) => caught);
  assert.instance(error, PushError);
  return error as PushError;
}

test.before(async () => {
  const ports = await freePorts();
  servers = {
    redis: redis(dir, ports.kubernetes),
    mariadb: await mariadb(dir, ports.cloudhub, ca.server('database')),
    mosquitto: mosquitto(dir, ports.stream, { port: ports.tunnel, files: ca.server('broker') }),
  };
  securePort = ports.tunnel;
  await servers.redis.start();
  await servers.mosquitto.start();
});
test.after(async () => {
  for (const channel of opened) channel.close();
  for (const server of Object.values(servers ?? {})) await server.stop();
  rmSync(dir, { recursive: true, force: true });
});

const mysql = (database = DATABASE): Target => {
  return { method: 'mysql', addr: `127.0.0.1:${servers.mariadb.port}`, database, userName: 'edge' };
};

test('MariaDB keeps any text as it is', async () => {
  const texts = [
    'it\'s "so" \\',
    'Zürich 🏭 日本',
    "'); DROP TABLE x; --",
    'line\nline',
    '',
    'x'.repeat(60_000),
  ];
  const channel = await open(mysql());
  await channel.send(
    texts.map((text) => sample(text)),
    ignore,
  );
  const rows = mariadbAsk(servers.mariadb.port, 'SELECT HEX(field) FROM `default/press/label` ORDER BY id');
  assert.equal(
    rows.map(([hex]) => Buffer.from(hex ?? '', 'hex').toString()),
    texts,
  );
});

test('MariaDB: what is too long for its column is refused, what is sent with it is not half there', async () => {
  const channel = await open(mysql());
  const route = { property: 'strict' };
  const fault = await faultOf(channel.send([sample('a', route), sample('x'.repeat(70_000), route)], ignore));
  assert.is(fault.kind, 'refused');
  await channel.send([sample('b', route)], ignore);
  assert.equal(mariadbAsk(servers.mariadb.port, 'SELECT field FROM `default/press/strict`'), [['b']]);
});

test('MariaDB: a table that somebody dropped is made again', async () => {
  const channel = await open(mysql());
  const route = { property: 'dropped' };
  await channel.send([sample('1', route)], ignore);
  mariadbAsk(servers.mariadb.port, 'DROP TABLE `default/press/dropped`');
  assert.is((await faultOf(channel.send([sample('2', route)], ignore))).kind, 'away');
  await channel.send([sample('2', route)], ignore);
  assert.equal(mariadbAsk(servers.mariadb.port, 'SELECT field FROM `default/press/dropped`'), [['2']]);
});

test('MariaDB says who may not come in, and to which database', async () => {
  const wrong = await faultOf(open(mysql(), 'wrong'));
  assert.is(wrong.kind, 'away');
  assert.match(
    wrong.message,
    /1045 Access denied for user 'edge'.*: set userName, and PASSWORD or modules.push/,
  );
  assert.match((await faultOf(open(mysql('nowhere')))).message, "1044 Access denied for user 'edge'");
});

const cache = (): Target => ({ method: 'redis', addr: `127.0.0.1:${servers.redis.port}`, db: 2 });

test('Redis has a value once, however often it is sent', async () => {
  const channel = await open(cache());
  await channel.send([sample('21.5'), sample('Zürich "🏭"')], ignore);
  await channel.send([sample('21.5')], ignore);
  const members = redisAsk(servers.redis.port, '--raw', 'ZRANGE', 'press', '0', '-1').split('\n');
  assert.equal(members.map((text) => (JSON.parse(text) as { Value: string }).Value).sort(), [
    '21.5',
    'Zürich "🏭"',
  ]);
});

test('Redis says who may not come in, and a key of another kind is a refusal', async () => {
  assert.match((await faultOf(open(cache(), 'wrong'))).message, 'set the environment variable PASSWORD');
  assert.match((await faultOf(open(cache(), ''))).message, 'NOAUTH');
  redisAsk(servers.redis.port, 'SET', 'taken', '1');
  const channel = await open(cache());
  assert.is((await faultOf(channel.send([sample('1', { device: 'taken' })], ignore))).kind, 'refused');
  await channel.send([sample('1')], ignore);
});

for (const qos of [0, 1, 2] as const) {
  test(`mosquitto confirms QoS ${qos}`, async () => {
    const { port } = servers.mosquitto;
    const clients = new Mosquitto(port, ['-u', 'edge', '-P', PASSWORD]);
    const subscriber = await clients.subscribe([`plant/${qos}`], { qos: 2 });
    const channel = await open({ method: 'mqtt', address: `tcp://127.0.0.1:${port}` }, PASSWORD, 'edge');
    const route = { topic: `plant/${qos}`, qos, retained: true };
    const values = Array.from({ length: 150 }, (_, i) => String(i));
    await channel.send(
      values.map((value) => sample(value, route)),
      ignore,
    );
    await until('all have come', () => subscriber.received.length >= values.length);
    assert.equal(
      subscriber.received.map(({ payload }) => payload.split(': ').at(-1)),
      values,
    );
    assert.ok(subscriber.received.every((message) => message.qos === qos));
    await clients.close();
  });
}

test('mosquitto says who may not come in', async () => {
  const address = `tcp://127.0.0.1:${servers.mosquitto.port}`;
  const fault = await faultOf(open({ method: 'mqtt', address }, 'wrong', 'edge'));
  assert.match(fault.message, 'set modules.push.credentials');
});

test('MariaDB is spoken to in TLS when there is a caFile, and trusted only then', async () => {
  const channel = await open(mysql(), PASSWORD, '', readFileSync(ca.file, 'utf8'));
  await channel.send([sample('secret', { property: 'tls' })], ignore);
  assert.equal(mariadbAsk(servers.mariadb.port, 'SELECT field FROM `default/press/tls`'), [['secret']]);
  const fault = await faultOf(open(mysql(), PASSWORD, '', readFileSync(other.file, 'utf8')));
  assert.match(fault.message, 'certificate');
});

test('mosquitto behind TLS is trusted by its CA only', async () => {
  const target: Target = { method: 'mqtt', address: `ssl://127.0.0.1:${securePort}` };
  const channel = await open(target, PASSWORD, 'edge', readFileSync(ca.file, 'utf8'));
  await channel.send([sample('1', { topic: 'plant/secure', qos: 1 })], ignore);
  assert.match((await faultOf(open(target, PASSWORD, 'edge'))).message, 'certificate');
});

test('a web server behind TLS is trusted by its CA only', async () => {
  const files = ca.server('web');
  const heard: string[] = [];
  const server = createServer(
    { cert: readFileSync(files.cert), key: readFileSync(files.key) },
    (request, response) => {
      heard.push(`${request.headers.authorization}`);
      response.end();
    },
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const at = server.address();
  const url = `https://127.0.0.1:${typeof at === 'object' ? at?.port : 0}`;
  const target: Target = { method: 'http', url, timeout: 5 };
  const channel = await open(target, 'p', 'u', readFileSync(ca.file, 'utf8'));
  await channel.send([sample('1')], ignore);
  assert.equal(heard, [`Basic ${Buffer.from('u:p').toString('base64')}`]);
  const doubtful = await open(target);
  assert.match((await faultOf(doubtful.send([sample('1')], ignore))).message, 'certificate');
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

if (hasAll) test.run();
