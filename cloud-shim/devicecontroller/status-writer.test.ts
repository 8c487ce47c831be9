import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Device, DeviceStatus } from '../../runtime/core/devices.ts';
import { FakeClock } from '../../runtime/core/fake-clock.ts';
import { createLogger } from '../../runtime/core/log.ts';
import { FakeApi } from '../kube/fake-api.ts';
import type { ChangeHandler } from '../kube/informer.ts';
import { kinds } from '../kube/resource-kind.ts';
import { StatusWriter } from './status-writer.ts';
import type { Status } from './twin-status.ts';

type Context = {
  api: FakeApi;
  clock: FakeClock;
  writer: StatusWriter;
  devices: Map<string, Device>;
  logged: Record<string, unknown>[];
  /** Shows the writer what the watch would. */
  watch: () => Promise<void>;
  watched: Map<string, DeviceStatus>;
  handler: ChangeHandler<DeviceStatus>;
};
const test = suite<Context>('device statuses');

test.before.each((context) => {
  const api = new FakeApi();
  const clock = new FakeClock();
  const devices = new Map<string, Device>();
  const watched = new Map<string, DeviceStatus>();
  const logged: Record<string, unknown>[] = [];
  const log = createLogger({ level: 'info', clock, write: (line) => logged.push(JSON.parse(line)) });
  const writer = new StatusWriter({
    api,
    config: { perSecond: 2, burst: 4 },
    devices: { get: (namespace, name) => devices.get(`${namespace}/${name}`) },
    statuses: {
      get: (namespace, name) => watched.get(`${namespace}/${name}`),
      onChange: (handler) => {
        context.handler = handler;
      },
    },
    clock,
    log,
  });
  const watch = async (): Promise<void> => {
    const answer = await api.list<DeviceStatus>(kinds.deviceStatus);
    for (const status of 'object' in answer ? answer.object.items : []) {
      const before = watched.get(`default/${status.metadata.name}`);
      watched.set(`default/${status.metadata.name}`, status);
      context.handler.changed(status, before);
    }
  };
  Object.assign(context, { api, clock, writer, devices, logged, watch, watched });
});
test.after.each(({ writer, clock }) => {
  writer.stop();
  assert.is(clock.pending, 0);
});

const device = ({ devices }: Context, name: string, node = 'edge-1', uid = `uid-${name}`): Device => {
  const made = { metadata: { namespace: 'default', name, uid }, spec: { nodeName: node } };
  devices.set(`default/${name}`, made);
  return made;
};
const state =
  (value: string) =>
  (status: Status): Status => ({ ...status, state: value });
async function stored({ api }: Context, name: string): Promise<DeviceStatus | undefined> {
  const answer = await api.get<DeviceStatus>(kinds.deviceStatus, { namespace: 'default', name });
  return 'object' in answer ? answer.object : undefined;
}
const writes = ({ api }: Context): string[] =>
  api.calls
    .filter((call) => /^(POST|PATCH)/.test(call))
    .map((call) => `${call.split(' ')[0]} ${call.split('/').at(-1)}`);

test('a status is made with its owner, then patched; what changes nothing is not written', async (context) => {
  const { writer } = context;
  const plc = device(context, 'plc');
  await writer.write(plc, state('online'));
  const made = await stored(context, 'plc');
  assert.is(made?.status.state, 'online');
  assert.equal(made?.metadata.ownerReferences, [
    {
      apiVersion: 'devices.kubeedge.io/v1beta1',
      kind: 'Device',
      name: 'plc',
      uid: 'uid-plc',
      controller: true,
      blockOwnerDeletion: true,
    },
  ]);
  await writer.write(plc, state('offline'));
  await context.watch();
  await writer.write(plc, state('offline'));
  assert.equal(writes(context), ['POST plc', 'PATCH plc']);
});

test('no more are written a second than allowed; the newest value of each device goes', async (context) => {
  const { writer, clock } = context;
  const done: string[] = [];
  const report = (name: string, value: string): void => {
    void writer.write(device(context, name), state(value)).then(() => done.push(`${name} ${value}`));
  };
  for (let i = 0; i < 6; i++) report(`d${i}`, 'old');
  report('d4', 'new');
  report('d5', 'new');
  await clock.advance(0);
  assert.is(writes(context).length, 4, 'the burst');
  assert.equal(done, ['d0 old', 'd1 old', 'd2 old', 'd3 old'], 'the others have no answer yet');
  await clock.advance(500);
  assert.is(writes(context).length, 5);
  await clock.advance(500);
  assert.is(writes(context).length, 6);
  assert.equal(done.slice(4), ['d4 old', 'd4 new', 'd5 old', 'd5 new']);
  assert.is((await stored(context, 'd5'))?.status.state, 'new');
  const line = context.logged.find(({ message }) => message === 'device statuses wait for their turn');
  assert.equal([line?.waiting, line?.written], [1, 0]);
});

test('nodes take turns', async (context) => {
  const { writer, clock } = context;
  for (let i = 0; i < 8; i++) void writer.write(device(context, `a${i}`, 'edge-a'), state('x'));
  void writer.write(device(context, 'b0', 'edge-b'), state('x'));
  void writer.write(device(context, 'b1', 'edge-b'), state('x'));
  await clock.advance(10_000);
  assert.equal(
    writes(context).map((call) => call.split(' ')[1]),
    ['a0', 'a1', 'a2', 'a3', 'a4', 'b0', 'a5', 'b1', 'a6', 'a7'],
  );
});

test('a report whose write fails has no answer, and the next one is written', async (context) => {
  const { writer, api } = context;
  const plc = device(context, 'plc');
  api.refusals.push({ call: /^POST/, code: 500, reason: 'InternalError' });
  const refused = await writer.write(plc, state('online')).then(
    () => '',
    (error: Error) => error.message,
  );
  assert.match(refused, /was refused/);
  api.refusals.length = 0;
  await writer.write(plc, state('online'));
  assert.is((await stored(context, 'plc'))?.status.state, 'online');
});

test('of a device of the same name before it nothing stays', async (context) => {
  const { writer } = context;
  await writer.write(device(context, 'plc'), (status) => ({ ...status, state: 'online', twins: [] }));
  await context.watch();
  await writer.write(device(context, 'plc', 'edge-1', 'uid-2'), (status) => ({ ...status, twins: [] }));
  const now = await stored(context, 'plc');
  assert.is(now?.status.state, undefined);
  assert.equal(
    now?.metadata.ownerReferences?.map(({ uid }) => uid),
    ['uid-2'],
  );
});

test('a status that nobody owns, as a foreign hand made it, is taken over with its values', async (context) => {
  const { writer, api } = context;
  const where = { namespace: 'default', name: 'plc' };
  await api.create(kinds.deviceStatus, where, { metadata: where, status: { state: 'ok' } });
  await context.watch();
  await writer.write(device(context, 'plc'), (status) => status);
  const now = await stored(context, 'plc');
  assert.is(now?.status.state, 'ok');
  assert.is(now?.metadata.ownerReferences?.length, 1);
});

test('a status that was deleted comes back with its values; that of a deleted device does not', async (context) => {
  const { writer, api, clock, devices, watched } = context;
  const plc = device(context, 'plc');
  await writer.write(plc, state('online'));
  const remove = async (): Promise<void> => {
    await context.watch();
    const status = await stored(context, 'plc');
    await api.delete(kinds.deviceStatus, { namespace: 'default', name: 'plc' });
    watched.delete('default/plc');
    if (status) context.handler.removed(status);
    await clock.advance(0);
  };
  await remove();
  assert.is((await stored(context, 'plc'))?.status.state, 'online');
  devices.delete('default/plc');
  writer.forget(plc);
  await remove();
  assert.is(await stored(context, 'plc'), undefined);
});

test('what waits for a device that is deleted is answered and not written', async (context) => {
  const { writer } = context;
  for (let i = 0; i < 4; i++) void writer.write(device(context, `d${i}`), state('x'));
  const gone = device(context, 'gone');
  const work = writer.write(gone, state('x'));
  writer.forget(gone);
  await work;
  assert.not(writes(context).includes('POST gone'));
});

test.run();
