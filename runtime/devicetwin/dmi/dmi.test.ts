import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Device, DeviceModel, DeviceState } from '../../core/devices.ts';
import type { DeviceMapper, Reading } from '../../core/dmi.ts';
import { FakeClock } from '../../core/fake-clock.ts';
import { type LogFields, type Logger, silentLogger } from '../../core/log.ts';
import { Metrics } from '../../core/metrics.ts';
import { type DeviceId, kibibytes, seconds } from '../../core/units.ts';
import { managerMethods, mapperMethods } from '../../wire/dmi-messages.ts';
import { GrpcClient } from '../../wire/grpc-client.ts';
import { GrpcServer } from '../../wire/grpc-server.ts';
import { decode, encode, type In, type Out } from '../../wire/protobuf.ts';
import { listenUnix } from '../../wire/unix-socket.ts';
import { Dmi, socketOf } from './dmi.ts';
import type { DmiTwins, RegistrationStore } from './manager.ts';

const ID = 'default/oven' as DeviceId;
const device: Device = {
  metadata: { name: 'oven', namespace: 'default' },
  spec: {
    deviceModelRef: { name: 'model' },
    protocol: { protocolName: 'oven' },
    properties: [{ name: 'temperature' }],
  },
};
const model: DeviceModel = {
  metadata: { name: 'model', namespace: 'default' },
  spec: { properties: [{ name: 'temperature', type: 'FLOAT' }] },
};

/** Devices that are there already when a mapper comes; notes what it is told. */
class Twins implements DmiTwins {
  readonly mappers = new Set<DeviceMapper>();
  readonly removed: string[] = [];
  readonly readings: Reading[] = [];
  readonly states: string[] = [];
  refusal: string | undefined;

  get(id: DeviceId): { device: Device; reason: string } | undefined {
    return id === ID ? { device, reason: '' } : undefined;
  }

  addMapper(mapper: DeviceMapper): void {
    this.mappers.add(mapper);
    if (mapper.protocols.includes('oven')) mapper.applyDevice(device, model);
  }

  removeMapper(mapper: DeviceMapper, reason: string): void {
    this.mappers.delete(mapper);
    this.removed.push(reason);
  }

  reportDeviceStatus(_id: DeviceId, readings: readonly Reading[]): string | undefined {
    if (this.refusal === undefined) this.readings.push(...readings);
    return this.refusal;
  }

  reportDeviceState(_id: DeviceId, state: DeviceState): void {
    this.states.push(state);
  }
}

class Rows implements RegistrationStore {
  readonly rows = new Map<string, { key: string; type: string; value: string }>();
  isFull = false;
  readonly meta = {
    put: (row: { key: string; type: string; value: string }) => this.rows.set(row.key, row),
    list: (type: string) => [...this.rows.values()].filter((row) => row.type === type),
    remove: (key: string) => this.rows.delete(key),
  };

  async durable(work: () => void): Promise<void> {
    if (this.isFull) throw new Error('no space');
    work();
  }

  lazy(work: () => void): void {
    work();
  }
}

type Methods = typeof managerMethods;
type Context = {
  dir: string;
  path: string;
  clock: FakeClock;
  twins: Twins;
  store: Rows;
  taken: Map<string, string>;
  warnings: string[];
  dmi: Dmi;
  make: () => Dmi;
  client: GrpcClient;
  register: (
    mapper: In<Methods['MapperRegister']['request']>['mapper'],
    withData?: boolean,
  ) => Promise<Registered>;
  listenAs: (name: string) => Promise<{ calls: string[]; called: Promise<void>; close: () => Promise<void> }>;
};
type Registered = Out<Methods['MapperRegister']['response']>;
const test = suite<Context>('dmi');

test.before.each(async (context) => {
  const dir = mkdtempSync(join(tmpdir(), 'dmi-'));
  const path = join(dir, 'dmi.sock');
  const twins = new Twins();
  const store = new Rows();
  const clock = new FakeClock();
  const taken = new Map([['modbus', 'modbus']]);
  const warnings: string[] = [];
  const log: Logger = {
    ...silentLogger,
    warn: (text: string, fields?: LogFields) => warnings.push(`${text}: ${fields?.reason}`),
    child: () => log,
  };
  const make = (): Dmi =>
    new Dmi({
      clock,
      log,
      random: () => 0.5,
      twins,
      store,
      taken: (protocol) => taken.get(protocol),
      metrics: new Metrics(),
      sockPath: dir,
    });
  const dmi = make();
  const client = new GrpcClient(path);
  await dmi.start();
  const register: Context['register'] = async (mapper, withData = true) => {
    const { request, response } = managerMethods.MapperRegister;
    const bytes = encode(request, { withData, mapper });
    return decode(
      response,
      await client.call('/v1beta1.DeviceManagerService/MapperRegister', bytes, seconds(5)),
    );
  };
  const listenAs: Context['listenAs'] = async (name) => {
    const calls: string[] = [];
    let done = (): void => {};
    const called = new Promise<void>((resolve) => {
      done = resolve;
    });
    const methods = new Map(
      Object.keys(mapperMethods).map((method) => [
        `/v1beta1.DeviceMapperService/${method}`,
        async () => {
          calls.push(method);
          done();
          return Buffer.alloc(0);
        },
      ]),
    );
    const grpc = new GrpcServer({ methods, largest: kibibytes(64) });
    const server = createServer((socket) => grpc.accept(socket));
    await listenUnix(server, 'test', join(dir, `${name}.sock`), 0o600);
    const close = async (): Promise<void> => {
      grpc.close();
      server.close();
      await once(server, 'close');
    };
    return { calls, called, close };
  };
  Object.assign(context, {
    dir,
    path,
    clock,
    twins,
    store,
    taken,
    warnings,
    dmi,
    make,
    client,
    register,
    listenAs,
  });
});
test.after.each(async ({ dir, dmi, client, clock }) => {
  client.close();
  await dmi.stop();
  assert.is(clock.pending, 0, 'nothing waits when it is stopped');
  rmSync(dir, { recursive: true });
});

const info = (dir: string, name = 'oven-mapper', protocol = 'oven') => ({
  name,
  version: 'v1',
  api_version: 'v1.0.0',
  protocol,
  address: Buffer.from(join(dir, `${name}.sock`)),
  state: 'ok',
});
const refusal = (work: Promise<unknown>): Promise<[number, string]> =>
  work.then(
    () => [0, ''],
    (error) => [error.status, error.message],
  );

test('a mapper is kept before it is answered, and gets its devices and their models', async ({
  dir,
  path,
  register,
  store,
}) => {
  assert.is(statSync(path).mode & 0o777, 0o660);
  const { deviceList, modelList } = await register(info(dir));
  assert.equal([deviceList.length, modelList.length], [1, 1]);
  assert.match(deviceList[0]?.toString() ?? '', 'oven');
  const row = store.rows.get('node/nodeID/namespace/devicemapper/oven-mapper');
  assert.equal(JSON.parse(row?.value ?? ''), {
    name: 'oven-mapper',
    version: 'v1',
    api_version: 'v1.0.0',
    protocol: 'oven',
    address: Buffer.from(join(dir, 'oven-mapper.sock')).toString('base64'),
  });
  const without = await register(info(dir), false);
  assert.equal([without.deviceList, without.modelList], [[], []]);
});

test('what cannot be kept is not registered', async ({ dir, register, store, twins }) => {
  store.isFull = true;
  assert.equal(await refusal(register(info(dir))), [14, 'the registration cannot be kept: no space']);
  assert.is(twins.mappers.size, 0);
});

const faults: readonly (readonly [string, object, RegExp])[] = [
  ['no name', { name: '' }, /^mapper\.name: "" is no name/],
  ['a name with a slash', { name: 'a/b' }, /^mapper\.name: "a\/b"/],
  ['no protocol', { protocol: '' }, /^mapper\.protocol/],
  ['no address', { address: Buffer.alloc(0) }, /^mapper\.address: "" is not the absolute path/],
  ['a relative address', { address: Buffer.from('a.sock') }, /^mapper\.address: "a\.sock"/],
  ['an address that fits no socket', { address: Buffer.from(`/${'x'.repeat(107)}`) }, /at most 107 bytes/],
];
for (const [what, wrong, text] of faults) {
  test(`a mapper with ${what} is refused`, async ({ dir, register }) => {
    const [status, message] = await refusal(register({ ...info(dir), ...wrong }));
    assert.is(status, 3);
    assert.match(message, text);
  });
}

test('without a mapper in it a register is refused', async ({ register }) => {
  assert.equal(await refusal(register(undefined)), [3, 'mapper: missing']);
});

test('a protocol that is served is named with its mapper, also when it is another one over DMI', async ({
  dir,
  dmi,
  register,
  listenAs,
}) => {
  const served = 'is served by mapper modbus: remove that one, or name another protocol';
  assert.equal(await refusal(register(info(dir, 'mine', 'modbus'))), [6, `protocol modbus ${served}`]);
  const mapper = await listenAs('oven-mapper');
  await register(info(dir), false);
  await mapper.called;
  assert.is(dmi.mapperFor('oven'), 'oven-mapper');
  const [status, text] = await refusal(register(info(dir, 'second')));
  assert.equal([status, /served by mapper oven-mapper/.test(text)], [6, true]);
  await mapper.close();
});

test('a mapper that does not answer gives way to one of another name', async ({
  dir,
  register,
  twins,
  store,
}) => {
  await register(info(dir));
  await register(info(dir, 'second'));
  assert.equal(twins.removed, ['mapper second has taken over protocol oven']);
  assert.equal([...store.rows.keys()], ['node/nodeID/namespace/devicemapper/second']);
  await register(info(dir, 'second', 'stove'));
  assert.is(twins.removed[1], 'mapper second now serves protocol stove');
  assert.equal(
    [...twins.mappers].flatMap(({ protocols }) => protocols),
    ['stove'],
  );
});

test('who registered before a restart is served without registering again', async ({
  dir,
  dmi,
  make,
  register,
  listenAs,
  client,
}) => {
  await register(info(dir));
  client.close();
  await dmi.stop();
  const mapper = await listenAs('oven-mapper');
  const next = make();
  await next.start();
  await mapper.called;
  await next.stop();
  await mapper.close();
  assert.is(mapper.calls[0], 'CreateDeviceModel');
});

test('a plugin that took the protocol meanwhile keeps it', async ({
  dir,
  dmi,
  make,
  register,
  listenAs,
  client,
  taken,
  store,
  twins,
}) => {
  await register(info(dir));
  client.close();
  await dmi.stop();
  taken.set('oven', 'oven-plugin');
  const mapper = await listenAs('oven-mapper');
  const gone = new Promise<void>((resolve) => {
    twins.removeMapper = (_, reason) => {
      twins.removed.push(reason);
      resolve();
    };
  });
  const next = make();
  await next.start();
  await gone;
  await next.stop();
  await mapper.close();
  assert.equal(twins.removed, ['mapper oven-plugin serves protocol oven']);
  assert.is(store.rows.size, 0);
});

test('reports are told on, and refused with the reason', async ({ client, twins }) => {
  const status = (twin: object) =>
    client.call(
      '/v1beta1.DeviceManagerService/ReportDeviceStatus',
      encode(managerMethods.ReportDeviceStatus.request, {
        deviceName: 'oven',
        reportedDevice: { twins: [{ propertyName: 'temperature', ...twin }] },
      }),
      seconds(5),
    );
  await status({ reported: { value: '21.5' }, observedDesired: { value: '7' } });
  assert.equal(
    twins.readings.map(({ property, value }) => [property, value]),
    [['temperature', '21.5']],
  );
  assert.equal(await refusal(status({})), [
    3,
    'device default/oven: property temperature: no reported value',
  ]);
  twins.refusal = 'too odd';
  assert.equal(await refusal(status({ reported: { value: 'x' } })), [3, 'device default/oven: too odd']);
});

test('states are taken in any case, and KubeEdge’s `disconnected` is offline', async ({ client, twins }) => {
  const state = (text: string) =>
    client.call(
      '/v1beta1.DeviceManagerService/ReportDeviceStates',
      encode(managerMethods.ReportDeviceStates.request, { deviceName: 'oven', state: text }),
      seconds(5),
    );
  for (const text of ['ONLINE', 'ok', 'disconnected']) await state(text);
  assert.equal(twins.states, ['online', 'ok', 'offline']);
  assert.is((await refusal(state('fine')))[0], 3);
});

test('a folder that is not there is made; a socket that somebody listens on is left to him', async ({
  dir,
  path,
  make,
  warnings,
}) => {
  const second = make();
  await second.start();
  assert.equal(warnings.length, 1);
  assert.match(warnings[0] ?? '', /^mappers cannot register: .*in use by another program/);
  await second.stop();
  assert.ok(existsSync(path), dir);
});

test('the socket of an edgecore that was killed is replaced', async ({
  dir,
  dmi,
  make,
  path,
  client,
  warnings,
}) => {
  client.close();
  await dmi.stop();
  assert.not.ok(existsSync(path));
  const script = `require('net').createServer().listen(process.argv[1], () => process.kill(process.pid, 'SIGKILL'))`;
  spawnSync(process.execPath, ['-e', script, path], { timeout: 10_000 });
  assert.ok(statSync(path).isSocket());
  const next = make();
  await next.start();
  assert.equal(warnings, []);
  const other = new GrpcClient(join(dir, 'dmi.sock'));
  await other.connect(seconds(5));
  other.close();
  await next.stop();
});

test('the path is a folder, or KubeEdge’s older form of it', () => {
  assert.is(socketOf('/etc/kubeedge/'), '/etc/kubeedge/dmi.sock');
  assert.is(socketOf('/etc/kubeedge/dmi.sock'), '/etc/kubeedge/dmi.sock');
  assert.is(socketOf('/run/edge/other.sock'), '/run/edge/dmi.sock');
  assert.is(socketOf(''), '/etc/kubeedge/dmi.sock');
});

test.run();
