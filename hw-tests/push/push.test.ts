import { spawn } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { kinds } from '../../cloud-shim/kube/resource-kind.ts';
import { decodeSamples, type Sample } from '../../mappers/push/sample.ts';
import { methods } from '../../mappers/push/target.ts';
import { systemClock } from '../../runtime/core/clock.ts';
import type { Device, DeviceModel, DeviceStatus } from '../../runtime/core/devices.ts';
import { silentLogger } from '../../runtime/core/log.ts';
import { Metrics } from '../../runtime/core/metrics.ts';
import { Store } from '../../runtime/store/store.ts';
import { Plc } from '../plc/plc.ts';
import { until } from '../program.ts';
import { requireProgram } from '../real-parts.ts';
import { freePorts, Stack } from '../stack.ts';
import { type Form, formReceiver, otlpReceiver, type Point, type Receiver } from './receivers.ts';
import {
  DATABASE,
  mariadb,
  mariadbAsk,
  mosquitto,
  PASSWORD,
  redis,
  redisAsk,
  type Server,
  victoriaMetrics,
  victoriaValues,
} from './servers.ts';

const isLong = process.env.EDGECORE_LONG === 'true';
/** How long every target is away, ms; edgecore is killed in the middle. */
const AWAY = isLong ? 60_000 : 12_000;
/** Values a second; slow enough to be killed meanwhile, and four times what is new. */
const DRAIN_RATE = 20;
const programs = [
  ['redis-server', 'redis-server'],
  ['mariadbd', 'mariadb-server'],
  ['victoria-metrics', 'victoria-metrics'],
  ['mosquitto', 'mosquitto'],
  ['mosquitto_sub', 'mosquitto-clients'],
] as const;
const hasAll = programs.every(([name, parts]) => requireProgram(name, parts) !== undefined);

const test = suite('pushMethod with real targets');
const dir = mkdtempSync(join(tmpdir(), 'edgecore-push-'));
const plc = new Plc({ moves: false });
const forms: Form[] = [];
const points: Point[] = [];
let stack: Stack;
let targets: {
  redis: Server;
  mariadb: Server;
  victoria: Server;
  mosquitto: Server;
  http: Receiver;
  otlp: Receiver;
};
let counting: NodeJS.Timeout | undefined;

/** What each property is called, and where it goes; every one of them reads the same counter. */
function pushMethods(mqtt: number): Record<string, Record<string, unknown>> {
  const at = (server: { port: number }): string => `127.0.0.1:${server.port}`;
  const { redis, mariadb, victoria, mosquitto, http, otlp } = targets;
  return {
    'to-http': {
      http: { hostName: 'http://127.0.0.1', port: http.port, requestPath: '/in?site=1', timeout: 5 },
    },
    'to-mqtt': {
      mqtt: { address: `tcp://${at(mosquitto)}`, topic: 'plant/counter', qos: 1, retained: false },
    },
    'to-own': { mqtt: { address: `tcp://127.0.0.1:${mqtt}`, topic: 'plant/own', qos: 1, retained: true } },
    'to-otel': { otel: { endpointURL: `http://${at(otlp)}` } },
    'to-influx': {
      dbMethod: {
        influxdb2: {
          influxdb2ClientConfig: { url: `http://${at(victoria)}`, org: 'plant', bucket: 'edge' },
          influxdb2DataConfig: { measurement: 'counters', tag: { hall: 'west wing' }, fieldKey: 'made' },
        },
      },
    },
    'to-redis': { dbMethod: { redis: { redisClientConfig: { addr: at(redis), db: 2, poolsize: 10 } } } },
    'to-mysql': {
      dbMethod: { mysql: { mysqlClientConfig: { addr: at(mariadb), database: DATABASE, userName: 'edge' } } },
    },
    'to-nowhere': { http: { port: 80 } },
  };
}

function objects(mqtt: number, port: number): { model: DeviceModel; device: Device } {
  const pushed = pushMethods(mqtt);
  const names = Object.keys(pushed);
  const metadata = { name: 'press', namespace: 'default' };
  const visitors = { protocolName: 'modbus', configData: { register: 'input', address: 2, type: 'uint32' } };
  const model = {
    apiVersion: 'devices.kubeedge.io/v1beta1',
    kind: 'DeviceModel',
    metadata: { name: 'press-model', namespace: 'default' },
    spec: { protocol: 'modbus', properties: names.map((name) => ({ name, type: 'INT' as const })) },
  };
  const device = {
    apiVersion: 'devices.kubeedge.io/v1beta1',
    kind: 'Device',
    metadata,
    spec: {
      deviceModelRef: { name: 'press-model' },
      nodeName: stack.options.node,
      protocol: { protocolName: 'modbus', configData: { host: '127.0.0.1', port } },
      properties: names.map((name) => ({
        name,
        collectCycle: 100,
        reportCycle: 200,
        visitors,
        pushMethod: pushed[name] ?? {},
      })),
    },
  };
  return { model, device };
}

test.before(async () => {
  // As a mapper's pod has them, one for all databases; the broker has its own.
  Object.assign(process.env, { PASSWORD, TOKEN: 'of nobody' });
  const ports = await freePorts();
  const more = await freePorts();
  targets = {
    redis: redis(dir, more.kubernetes),
    mariadb: await mariadb(dir, more.cloudhub),
    victoria: victoriaMetrics(dir, more.enrolment),
    mosquitto: mosquitto(dir, more.stream),
    http: formReceiver(more.tunnel, forms),
    otlp: otlpReceiver(more.mqtt, points),
  };
  const { mariadb: running, ...others } = targets;
  for (const target of Object.values(others)) await target.start();
  await subscribe(['-E']);
  const port = await plc.start('127.0.0.1', 0);
  let count = 0;
  counting = setInterval(() => plc.memory.input.writeUInt32BE(++count, 4), 50);
  const passwordFile = join(dir, 'mqtt-password');
  writeFileSync(passwordFile, `${PASSWORD}\n`);
  const address = `tcp://127.0.0.1:${targets.mosquitto.port}`;
  const credentials = [{ method: 'mqtt', address, userName: 'edge', passwordFile }];
  stack = new Stack({
    dir,
    ports,
    node: 'edge-push',
    modules: { push: { credentials, drainRate: DRAIN_RATE } },
  });
  await stack.startMaster();
  await stack.startShim();
  await stack.startEdge();
  await stack.registered();
  const { model, device } = objects(ports.mqtt, port);
  await stack.api.create(kinds.deviceModel, { name: 'press-model', namespace: 'default' }, model);
  await stack.api.create(kinds.device, { name: 'press', namespace: 'default' }, device);
});

test.after(async () => {
  clearInterval(counting);
  await stack?.stop();
  await plc.stop();
  for (const target of Object.values(targets ?? {})) await target.stop();
  for (const name of ['PASSWORD', 'TOKEN']) delete process.env[name];
  rmSync(dir, { recursive: true, force: true });
});

/** mosquitto_sub with a session that the broker keeps. @returns what it prints */
function subscribe(more: readonly string[]): Promise<string[]> {
  const login = ['-p', `${targets.mosquitto.port}`, '-u', 'edge', '-P', PASSWORD];
  return lines('mosquitto_sub', [...login, '-c', '-i', 'dashboard', '-q', '1', '-t', 'plant/#', ...more]);
}

function lines(command: string, args: readonly string[]): Promise<string[]> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk;
  });
  return new Promise((resolve) => child.once('close', () => resolve(text.split('\n').filter(Boolean))));
}

async function figure(name: string): Promise<number> {
  const response = await fetch(`http://127.0.0.1:${stack.options.ports.console}/metrics`);
  const line = (await response.text()).split('\n').find((text) => text.startsWith(`${name} `));
  return Number(line?.slice(name.length + 1) ?? 0);
}

const seconds = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/;

test('values arrive everywhere under the names that KubeEdge gives them', async () => {
  const { port } = targets.mariadb;
  const rows = await until('rows in MariaDB', () => {
    const found = mariadbAsk(port, 'SELECT id, ts, field FROM `default/press/to-mysql` ORDER BY id');
    return found.length > 2 && found;
  });
  assert.match(rows[0]?.[1] ?? '', seconds);
  const member = await until('members in Redis', () => {
    const [first] = redisAsk(targets.redis.port, 'ZRANGE', 'press', '0', '0').split('\n');
    return first ? (JSON.parse(first) as Record<string, unknown>) : undefined;
  });
  const { TimeStamp, Value, ...names } = member;
  assert.equal(names, { DeviceName: 'press', PropertyName: 'to-redis', Namespace: 'default', Type: 'int' });
  assert.is(redisAsk(targets.redis.port, 'ZSCORE', 'press', JSON.stringify(member)), String(TimeStamp));
  assert.match(String(Value), /^\d+$/);
  const form = await until('forms', () => forms[0]);
  assert.is(form.path, '/in?site=1');
  assert.is(form.name, 'to-http');
  assert.match(form.time, seconds);
  const point = await until('points', () => points[0]);
  assert.is(`${point.device} ${point.name}`, 'default/press to-otel');
  assert.ok(Math.abs(point.at - Date.now()) < 60_000);
  const [value] = await until('series', async () => {
    const found = await victoriaValues(targets.victoria.port, 'counters_made');
    return found.length > 0 && found;
  });
  assert.is(value?.metric.hall, 'west wing');
  const [published] = await subscribe(['-C', '1', '-W', '10']);
  assert.match(published ?? '', /^time is \d{4}-\d\d-\d\d \d\d:\d\d:\d\d {2}plant\/counter: \d+$/);
  const [own] = await lines('mosquitto_sub', [
    ...['-p', `${stack.options.ports.mqtt}`, '-t', 'plant/own', '-C', '1', '-W', '10'],
  ]);
  assert.match(own ?? '', /^time is .* {2}plant\/own: \d+$/);
});

test('values come in their report cycle, whether they change or not', async () => {
  clearInterval(counting);
  const from = points.length;
  const began = performance.now();
  await until('fifteen values that did not change', () => points.length >= from + 15);
  const took = performance.now() - began;
  assert.ok(took > 2400, `fifteen values in ${took} ms, and one in 200 ms is asked for`);
  let count = plc.memory.input.readUInt32BE(4);
  counting = setInterval(() => plc.memory.input.writeUInt32BE(++count, 4), 50);
});

test('a pushMethod that is wrong is named with its field, and the others work', async () => {
  const faults = await until('the fault is in the DeviceStatus', async () => {
    const status = await stack.object<DeviceStatus>(kinds.deviceStatus, 'press');
    return status?.status.extensions?.faults as Record<string, string> | undefined;
  });
  assert.equal(Object.keys(faults), ['to-nowhere']);
  assert.match(faults['to-nowhere'] ?? '', 'spec.properties[7].pushMethod.http.hostName: missing');
});

/** What was on disk when edgecore was killed, by property, in order. */
async function durable(): Promise<Map<string, Sample[]>> {
  const data = join(dir, 'edgecore');
  const copy = join(dir, 'ledger');
  rmSync(copy, { recursive: true, force: true });
  mkdirSync(copy);
  for (const name of ['edgecore.db', 'edgecore.db-wal'])
    if (existsSync(join(data, name))) cpSync(join(data, name), join(copy, name));
  const path = join(copy, 'edgecore.db');
  const store = new Store({ path, clock: systemClock, log: silentLogger, metrics: new Metrics() });
  try {
    const found = new Map<string, Sample[]>();
    for (const { target } of store.push.totals())
      for (const { body } of store.push.list(target, 0, 100_000))
        for (const sample of decodeSamples(body))
          found.set(sample.route.property, [...(found.get(sample.route.property) ?? []), sample]);
    return found;
  } finally {
    await store.close();
  }
}

/** What each target has, in the order in which it came, as far as it tells. */
async function arrived(): Promise<Record<string, string[]>> {
  const rows = mariadbAsk(targets.mariadb.port, 'SELECT field FROM `default/press/to-mysql` ORDER BY id');
  const members = redisAsk(targets.redis.port, 'ZRANGE', 'press', '0', '-1').split('\n');
  const series = await victoriaValues(targets.victoria.port, 'counters_made');
  const messages = await subscribe(['-W', '3']);
  return {
    'to-mysql': rows.map(([field]) => field ?? ''),
    'to-redis': members.map((text) => (JSON.parse(text) as { Value: string }).Value),
    'to-influx': series.map(({ value }) => String(value)),
    'to-mqtt': messages.map((text) => text.split(': ').at(-1) ?? ''),
    'to-http': forms.map(({ value }) => value),
    'to-otel': points.map(({ value }) => String(value)),
  };
}

test('nothing that was on disk is lost while every target is away and edgecore is killed', async () => {
  await subscribe(['-W', '1']);
  for (const target of Object.values(targets)) await target.stop();
  await new Promise((resolve) => setTimeout(resolve, AWAY / 2));
  const status = await stack.object<DeviceStatus>(kinds.deviceStatus, 'press');
  const faults = status?.status.extensions?.faults as Record<string, string> | undefined;
  assert.match(faults?.['to-redis'] ?? '', `redis 127.0.0.1:${targets.redis.port} db 2`);
  assert.match(faults?.['to-redis'] ?? '', 'ECONNREFUSED');
  assert.is(await figure('edgecore_push_failing{method="mysql"}'), 1);
  await stack.program('edgecore').kill();
  const ledger = await durable();
  await stack.startEdge();
  await new Promise((resolve) => setTimeout(resolve, AWAY / 2));
  const waiting = await figure('edgecore_push_waiting{method="mysql"}');
  const confirmed = 'edgecore_push_confirmed_total{method="mysql"}';
  for (const target of Object.values(targets)) await target.start();
  await until('a part of what waited is there', async () => (await figure(confirmed)) > 0, 60_000);
  await stack.program('edgecore').kill();
  await stack.startEdge();
  for (const method of methods)
    await until(
      `what waited for ${method} is there`,
      async () => (await figure(`edgecore_push_waiting{method="${method}"}`)) < 5,
      90_000,
    );
  const has = await arrived();
  for (const [property, samples] of ledger) {
    const oldest = Number(samples[0]?.value);
    const values = (has[property] ?? []).filter((value) => Number(value) >= oldest);
    const all = new Set(values);
    const missing = samples.filter(({ value }) => !all.has(value));
    assert.equal(missing, [], `${property}: of ${samples.length} on disk`);
    // Sent again after the kill: some of those that waited, and of those that came meanwhile.
    const first = [...all].map(Number);
    assert.equal(
      first,
      [...first].sort((a, b) => a - b),
      `${property} came in order`,
    );
    const again = values.length - all.size;
    process.stdout.write(
      `${property}: ${samples.length} on disk when killed, ${values.length} arrived, ${again} of them again\n`,
    );
    assert.ok(again <= waiting + 3 * DRAIN_RATE, `${property}: ${again} values came again`);
  }
  assert.equal([...ledger.keys()].sort(), Object.keys(has).sort());
  await until('no fault is left but the wrong one', async () => {
    const now = await stack.object<DeviceStatus>(kinds.deviceStatus, 'press');
    return Object.keys(now?.status.extensions?.faults ?? {}).join() === 'to-nowhere';
  });
});

if (hasAll) test.run();
