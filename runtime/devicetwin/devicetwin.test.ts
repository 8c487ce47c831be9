import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import * as v from 'valibot';
import type { Device, DeviceModel } from '../core/devices.ts';
import type { DeviceMapper } from '../core/dmi.ts';
import { FakeClock } from '../core/fake-clock.ts';
import { silentLogger } from '../core/log.ts';
import { type Message, type MessageDraft, newMessage } from '../core/message.ts';
import { Metrics } from '../core/metrics.ts';
import { deviceId, millis, minutes } from '../core/units.ts';
import { deviceTwinConfig } from './config.ts';
import { DeviceTwin } from './devicetwin.ts';
import type { DeviceStore } from './records.ts';
import type { Twin } from './twin.ts';

/** Keeps rows in memory; durable writes are told to be safe when the test says so. */
class FakeStore implements DeviceStore {
  readonly rows = new Map<string, Parameters<DeviceStore['devices']['put']>[0]>();
  readonly twins = new Map<string, Parameters<DeviceStore['devices']['putTwin']>[0]>();
  /** While set, durable writes wait for it. */
  disk: Promise<void> = Promise.resolve();
  /** The disk takes nothing. */
  isFull = false;
  readonly devices: DeviceStore['devices'] = {
    put: (row) => this.rows.set(row.id, row),
    list: () => [...this.rows.values()],
    remove: (id) => {
      this.rows.delete(id);
      for (const [key, row] of this.twins) if (row.deviceid === id) this.twins.delete(key);
    },
    putTwin: (row) => this.twins.set(`${row.deviceid} ${row.name}`, row),
    listTwins: () => [...this.twins.values()],
  };

  durable(work: () => void): Promise<void> {
    if (this.isFull) return Promise.reject(new Error('no space'));
    work();
    return this.disk;
  }

  lazy(work: () => void): void {
    work();
  }
}

class FakeMapper implements DeviceMapper {
  readonly protocols: readonly string[];
  readonly calls: string[] = [];
  fault: string | undefined;

  constructor(protocols: readonly string[] = ['modbus']) {
    this.protocols = protocols;
  }

  applyDevice(device: Device, model: DeviceModel): string | undefined {
    this.calls.push(`apply ${device.metadata.name} ${model.metadata.name}`);
    return this.fault;
  }

  removeDevice(id: string): void {
    this.calls.push(`remove ${id}`);
  }
}

type Heard = { topic: string; payload: Record<string, unknown> };
type Context = {
  clock: FakeClock;
  store: FakeStore;
  link: { online: boolean; drafts: MessageDraft[]; answer: boolean; pending: (() => void)[] };
  mapper: FakeMapper;
  heard: Heard[];
  /** What the observer was told. */
  observed: unknown[];
  objects: { devices: Device[]; models: DeviceModel[] };
  make: () => DeviceTwin;
  twins: DeviceTwin;
  time: { trusted: boolean; arrive: (epoch: number) => void };
};
const test = suite<Context>('devicetwin');

const ID = deviceId('default', 'plc');
const D = '$hw/events/device/default/plc';
const model: DeviceModel = {
  metadata: { name: 'press', namespace: 'default' },
  spec: {
    properties: [
      { name: 'setpoint', type: 'INT', accessMode: 'ReadWrite' },
      { name: 'temperature', type: 'FLOAT', accessMode: 'ReadOnly' },
    ],
  },
};
const device = (desired?: string, protocolName = 'modbus'): Device => ({
  metadata: { name: 'plc', namespace: 'default' },
  spec: {
    deviceModelRef: { name: 'press' },
    protocol: { protocolName },
    properties: [
      { name: 'setpoint', ...(desired === undefined ? {} : { desired: { value: desired } }) },
      { name: 'temperature', reportToCloud: true },
    ],
  },
});

test.before.each(async (context) => {
  const clock = new FakeClock();
  const store = new FakeStore();
  const heard: Heard[] = [];
  const observed: unknown[] = [];
  const objects = { devices: [] as Device[], models: [] as DeviceModel[] };
  const link: Context['link'] & { request(draft: MessageDraft): Promise<Message> } = {
    online: false,
    drafts: [],
    answer: true,
    pending: [],
    request: (draft) => {
      link.drafts.push(draft);
      const reply = newMessage({ ...draft, operation: 'response', content: 'OK', parent: 'x' }, 0);
      if (link.answer) return Promise.resolve(reply);
      return new Promise((resolve) => link.pending.push(() => resolve(reply)));
    },
  };
  const mapper = new FakeMapper();
  const time: Context['time'] = { trusted: true, arrive: () => {} };
  const make = (): DeviceTwin => {
    const twins = new DeviceTwin({
      config: v.parse(deviceTwinConfig, {}),
      node: 'edge-1',
      store,
      link,
      clock,
      time: {
        get isTrusted() {
          return time.trusted;
        },
        moment: () => ({ boot: 'boot-1', mono: clock.monotonic() }),
        onArrival: (listener) => {
          time.arrive = (epoch) => {
            time.trusted = true;
            listener('boot-1', epoch);
          };
        },
      },
      log: silentLogger,
      metrics: new Metrics(),
      publish: (topic, payload) => heard.push({ topic, payload: payload as Record<string, unknown> }),
      observer: {
        heard: (id, changes) =>
          observed.push([id, changes.map(({ name, current }) => [name, current.actual?.value])]),
        heardState: (id, state) => observed.push([id, state]),
      },
      objects: { devices: () => objects.devices, models: () => objects.models },
    });
    twins.addMapper(mapper);
    return twins;
  };
  const twins = make();
  await twins.start();
  Object.assign(context, { clock, store, heard, observed, objects, link, mapper, time, make, twins });
});
test.after.each(async ({ twins, clock }) => {
  await twins.stop();
  assert.is(clock.pending, 0, 'no timer is left');
});

const member = { id: 'default/plc', name: 'plc', description: 'press 4' };
const join = ({ twins, heard }: Pick<Context, 'twins' | 'heard'>): void => {
  twins.membership([member], []);
  heard.length = 0;
};
const update = (twin: unknown): string => JSON.stringify({ event_id: 'e1', timestamp: 1, twin });
const topics = (heard: Heard[]): string[] => heard.map(({ topic }) => topic.replace(`${D}/`, ''));
const told = <T>(heard: Heard[], index: number, key: string): T => heard[index]?.payload[key] as T;
const twinsIn = (draft: MessageDraft | undefined): Record<string, Twin> =>
  (draft?.content as { twin: Record<string, Twin> } | undefined)?.twin ?? {};
const twinOf = (twins: DeviceTwin, name: string): Twin | undefined =>
  [...twins.list()].find(({ id }) => id === ID)?.twins.get(name);

test('a device that joins is kept, and told on MQTT', ({ twins, heard, store }) => {
  twins.membership([member], []);
  assert.is(heard[0]?.topic, '$hw/events/node/edge-1/membership/updated');
  const { event_id, timestamp, ...lists } = heard[0]?.payload ?? {};
  assert.type(event_id, 'string');
  assert.type(timestamp, 'number');
  assert.equal(lists, { added_devices: [member], removed_devices: null });
  assert.equal(
    [...store.rows.values()].map(({ id, state }) => [id, state]),
    [['default/plc', 'unknown']],
  );
});

test('a device that joins again keeps its twins', async (context) => {
  const { twins, heard } = context;
  join(context);
  await twins.handleDevice(ID, 'twin/update', update({ t: { actual: { value: '1' } } }));
  join(context);
  assert.is(twinOf(twins, 't')?.actual?.value, '1');
  assert.equal(heard, []);
});

test('a device that leaves takes its twins along', async (context) => {
  const { twins, heard, store } = context;
  join(context);
  await twins.handleDevice(ID, 'twin/update', update({ t: { actual: { value: '1' } } }));
  heard.length = 0;
  twins.membership([], [member]);
  assert.equal(heard[0]?.payload.removed_devices, [member]);
  assert.equal([store.rows.size, store.twins.size, [...twins.list()].length], [0, 0, 0]);
});

test('a confirmation that arrives after its device has left brings nothing back', async (context) => {
  const { twins, link, store, clock } = context;
  join(context);
  link.online = true;
  await twins.handleDevice(ID, 'state/update', JSON.stringify({ state: 'online' }));
  await clock.advance(0);
  link.answer = false;
  await twins.handleDevice(ID, 'twin/update', update({ t: { actual: { value: '1' } } }));
  twins.membership([], [member]);
  for (const answer of link.pending) answer();
  await clock.advance(0);
  assert.is(store.twins.size, 0);
});

test('an update over MQTT is answered, documented, and gives the delta', async (context) => {
  const { twins, heard, clock } = context;
  join(context);
  await twins.handleDevice(
    ID,
    'twin/update',
    update({ t: { expected: { value: '5' }, metadata: { type: 'int' } } }),
  );
  assert.equal(topics(heard), ['twin/update/result', 'twin/update/document', 'twin/update/delta']);
  const now = clock.now();
  const shown = {
    expected: { value: '5', metadata: { timestamp: now } },
    optional: true,
    metadata: { type: 'int' },
  };
  const base = { event_id: 'e1', timestamp: now };
  assert.equal(
    heard.map(({ payload }) => payload),
    [
      { ...base, twin: { t: shown } },
      { ...base, twin: { t: { last: null, current: shown } } },
      { ...base, twin: { t: shown }, delta: { t: '5' } },
    ],
  );
});

test('nobody is told of an update before it is on disk', async (context) => {
  const { twins, heard, store, clock } = context;
  join(context);
  let written = (): void => {};
  store.disk = new Promise((resolve) => {
    written = resolve;
  });
  const handled = twins.handleDevice(ID, 'twin/update', update({ t: { actual: { value: '1' } } }));
  await clock.advance(0);
  assert.equal(heard, []);
  written();
  await handled;
  assert.equal(topics(heard), ['twin/update/result', 'twin/update/document']);
});

test('an update that the disk refuses is not promised, and is noted for when the disk takes it', async (context) => {
  const { twins, heard, store, clock } = context;
  join(context);
  store.isFull = true;
  const handled = twins.handleDevice(ID, 'twin/update', update({ t: { actual: { value: '1' } } }));
  assert.is(await handled.catch((error: Error) => error.message), 'no space');
  assert.equal(heard, []);
  await clock.advance(10_000);
  assert.match(store.twins.get(`${ID} t`)?.value ?? '', /"value":"1"/);
});

const refusals: [string, string, string, number][] = [
  ['an unknown device', 'default/other', update({ t: {} }), 404],
  ['bad JSON', 'default/plc', '{', 400],
  ['a missing twin', 'default/plc', '{"event_id":"e1"}', 400],
  [
    'a value of another type',
    'default/plc',
    update({ t: { actual: { value: 'x' }, metadata: { type: 'int' } } }),
    400,
  ],
];
for (const [what, id, payload, code] of refusals) {
  test(`${what} is refused with ${code} on the topic of the device that was named`, async (context) => {
    const { twins, heard } = context;
    join(context);
    await twins.handleDevice(id as typeof ID, 'twin/update', payload);
    assert.equal(
      heard.map(({ topic, payload: { code: given, twin } }) => [topic, given, twin]),
      [[`$hw/events/device/${id}/twin/update/result`, code, undefined]],
    );
    assert.type(heard[0]?.payload.reason, 'string');
  });
}

test('of an update with one wrong twin nothing is taken', async (context) => {
  const { twins, store } = context;
  join(context);
  const payload = update({ good: { actual: { value: '1' } }, bad: null });
  await twins.handleDevice(ID, 'twin/update', payload);
  assert.is(twinOf(twins, 'good'), undefined);
  assert.is(store.twins.size, 0);
});

test('twin/get answers with every twin, or with 404', async (context) => {
  const { twins, heard } = context;
  join(context);
  await twins.handleDevice(ID, 'twin/update', update({ t: { actual: { value: '1' } } }));
  heard.length = 0;
  await twins.handleDevice(ID, 'twin/get', '{"event_id":"g"}');
  assert.is(heard[0]?.topic, `${D}/twin/get/result`);
  assert.is(heard[0]?.payload.event_id, 'g');
  assert.is(told<Record<string, Twin>>(heard, 0, 'twin').t?.actual?.value, '1');
  await twins.handleDevice('default/other' as typeof ID, 'twin/get', '');
  assert.equal(
    [heard[1]?.topic, heard[1]?.payload.code],
    ['$hw/events/device/default/other/twin/get/result', 404],
  );
});

test('membership/get lists the devices', (context) => {
  const { twins, heard } = context;
  join(context);
  twins.handleMembershipGet('{"event_id":"m"}');
  assert.is(heard[0]?.topic, '$hw/events/node/edge-1/membership/get/result');
  assert.equal(
    told<{ id: string }[]>(heard, 0, 'devices').map(({ id }) => id),
    ['default/plc'],
  );
});

for (const [said, state, lastOnline] of [
  ['online', 'online', '2026-01-01T00:00:00Z'],
  ['OK', 'ok', '2026-01-01T00:00:00Z'],
  ['Offline', 'offline', ''],
  ['UNHEALTHY', 'unhealthy', ''],
  ['unknown', 'unknown', ''],
] as const) {
  test(`state ${said} is taken as ${state} and answered`, async (context) => {
    const { twins, heard, clock } = context;
    join(context);
    await twins.handleDevice(ID, 'state/update', JSON.stringify({ event_id: 'e', state: said }));
    assert.equal(heard, [
      {
        topic: `${D}/state/update/result`,
        payload: {
          event_id: 'e',
          timestamp: clock.now(),
          device: { name: 'plc', state, lastOnlineTime: lastOnline },
        },
      },
    ]);
  });
}

test('a state that is said again is answered and told to the cloud again: the device is still there', async (context) => {
  const { twins, heard, link, clock } = context;
  join(context);
  link.online = true;
  for (let i = 0; i < 2; i++) {
    await twins.handleDevice(ID, 'state/update', '{"state":"online"}');
    await clock.advance(0);
  }
  assert.equal(topics(heard), ['state/update/result', 'state/update/result']);
  assert.is(link.drafts.length, 2);
});

for (const payload of ['{"state":"asleep"}', '{}', '{', '{"state":5}']) {
  test(`state payload ${payload} is passed over in silence`, async (context) => {
    const { twins, heard } = context;
    join(context);
    await twins.handleDevice(ID, 'state/update', payload);
    assert.equal(heard, []);
  });
}

test('our own results that come back from the broker are passed over', async (context) => {
  const { twins, heard } = context;
  join(context);
  for (const action of ['twin/update/result', 'twin/update/delta', 'twin/get/result', 'state/update/result'])
    await twins.handleDevice(ID, action, update({ t: { actual: { value: '1' } } }));
  assert.equal(heard, []);
  assert.is(twinOf(twins, 't'), undefined);
});

test('a device goes to its mapper once its model is here; until then it is unhealthy and says why', ({
  twins,
  mapper,
}) => {
  twins.applyDevice(device());
  const [entry] = twins.list();
  assert.is(entry?.state, 'unhealthy');
  assert.match(entry?.reason ?? '', 'DeviceModel default/press is not here');
  assert.equal(mapper.calls, []);
  twins.applyModel(model);
  assert.equal(mapper.calls, ['apply plc press']);
});

test('what a mapper cannot serve is unhealthy for the mapper’s reason', ({ twins, mapper }) => {
  mapper.fault = 'spec.protocol.configData.host: missing';
  twins.applyModel(model);
  twins.applyDevice(device());
  const [entry] = twins.list();
  assert.equal([entry?.state, entry?.reason], ['unhealthy', 'spec.protocol.configData.host: missing']);
});

test('a device that changes its protocol is taken from the old mapper', ({ twins, mapper }) => {
  twins.applyModel(model);
  twins.applyDevice(device());
  twins.applyDevice(device(undefined, 'opcua'));
  assert.equal(mapper.calls, ['apply plc press', 'remove default/plc']);
});

test('a device that is removed is taken from its mapper', ({ twins, mapper }) => {
  twins.applyModel(model);
  twins.applyDevice(device());
  twins.removeDevice(ID);
  assert.equal(mapper.calls, ['apply plc press', 'remove default/plc']);
});

test('a device that came before its model is told anew when the model is there', ({ twins }) => {
  twins.applyDevice(device(undefined, 'opcua'));
  const [entry] = twins.list();
  assert.is(entry?.state, 'unhealthy');
  assert.match(entry?.reason ?? '', 'DeviceModel default/press is not here');
  twins.applyModel(model);
  assert.is(entry?.state, 'unknown');
  assert.match(entry?.reason ?? '', 'no mapper here serves "opcua"');
});

test('a mapper that comes later is handed the devices of its protocols, and only those', (context) => {
  const { twins } = context;
  twins.applyModel(model);
  twins.applyDevice(device(undefined, 'opcua'));
  const [entry] = twins.list();
  assert.equal(
    [entry?.state, entry?.reason],
    ['unknown', 'spec.protocol.protocolName: no mapper here serves "opcua"; values can come over MQTT only'],
  );
  const late = new FakeMapper(['opcua']);
  twins.addMapper(late);
  assert.equal(late.calls, ['apply plc press']);
  const stranger = new FakeMapper(['bacnet']);
  twins.addMapper(stranger);
  assert.equal(stranger.calls, []);
});

test('of the devices of a mapper that goes nothing is known, and the next one takes them', ({
  twins,
  mapper,
}) => {
  twins.applyModel(model);
  twins.applyDevice(device());
  twins.reportDeviceState(ID, 'online');
  twins.removeMapper(mapper, 'mapper probe was removed');
  const [entry] = twins.list();
  assert.equal([entry?.state, entry?.reason], ['unknown', 'mapper probe was removed']);
  assert.equal(mapper.calls, ['apply plc press', 'remove default/plc']);
  twins.applyDevice(device('20'));
  assert.is(mapper.calls.length, 2, 'it is gone');
  const next = new FakeMapper();
  twins.addMapper(next);
  assert.equal(next.calls, ['apply plc press']);
});

test('a desired value of the cluster becomes the expected side, of the model’s type', ({
  twins,
  clock,
  heard,
}) => {
  twins.applyModel(model);
  twins.applyDevice(device('20'));
  assert.equal(twinOf(twins, 'setpoint'), {
    expected: { value: '20', metadata: { timestamp: clock.now() } },
    expected_version: { cloud: 0, edge: 1 },
    optional: true,
    metadata: { type: 'int' },
  });
  assert.ok(topics(heard).includes('twin/update/delta'));
});

test('a desired value that did not change is left alone', ({ twins }) => {
  twins.applyModel(model);
  twins.applyDevice(device('20'));
  const before = twinOf(twins, 'setpoint');
  twins.applyDevice(device('20'));
  assert.is(twinOf(twins, 'setpoint'), before);
});

test('a desired value that the model cannot hold is a fault of the device, told with its state', async (context) => {
  const { twins, link, clock } = context;
  twins.applyModel(model);
  link.online = true;
  twins.applyDevice(device('warm'));
  await clock.advance(0);
  assert.is(twinOf(twins, 'setpoint'), undefined);
  const state = link.drafts
    .filter(({ resource }) => resource === 'device/default/plc/state/update')
    .map(({ content }) => JSON.parse(content as string) as { device: { faults?: Record<string, string> } })
    .at(-1);
  assert.match(state?.device.faults?.setpoint ?? '', /want a number/);
});

test('readings become the actual side; those marked reportToCloud go up', async (context) => {
  const { twins, link, clock, heard } = context;
  twins.applyModel(model);
  twins.applyDevice(device());
  twins.reportDeviceState(ID, 'online');
  link.online = true;
  twins.link(true);
  await clock.advance(0);
  link.drafts.length = 0;
  heard.length = 0;
  twins.reportDeviceStatus(ID, [
    { property: 'setpoint', value: '20', at: millis(0) },
    { property: 'temperature', value: '21.5', at: millis(0) },
  ]);
  assert.is(twinOf(twins, 'setpoint')?.actual?.value, '20');
  assert.equal(topics(heard), ['twin/update/result', 'twin/update/document']);
  assert.is(link.drafts.length, 1);
  const twin = twinsIn(link.drafts[0]);
  assert.equal(Object.keys(twin), ['temperature']);
  assert.equal(twin.temperature, twinOf(twins, 'temperature'));
});

test('a reading of a device that is not here is passed over', ({ twins, heard }) => {
  twins.reportDeviceStatus(ID, [{ property: 't', value: '1', at: millis(0) }]);
  assert.equal(heard, []);
});

test('a state goes to the cloud when it changes, not when it is reported again', async (context) => {
  const { twins, link, clock } = context;
  join(context);
  link.online = true;
  twins.reportDeviceState(ID, 'unhealthy', 'no answer');
  await clock.advance(0);
  twins.reportDeviceState(ID, 'unhealthy', 'no answer');
  await clock.advance(0);
  assert.is(link.drafts.length, 1);
  const { device: state } = JSON.parse(link.drafts[0]?.content as string) as { device: unknown };
  assert.equal(state, { name: 'plc', state: 'unhealthy', lastOnlineTime: '', reason: 'no answer' });
});

test('a write that failed is told with the device’s state, until one succeeds', async (context) => {
  const { twins, link, clock } = context;
  join(context);
  link.online = true;
  twins.reportWrites(ID, [{ property: 'setpoint', desired: '20', fault: 'exception 2' }]);
  await clock.advance(0);
  twins.reportWrites(ID, [{ property: 'setpoint', desired: '20' }]);
  await clock.advance(0);
  const faults = link.drafts.map(
    ({ content }) => (JSON.parse(content as string) as { device: { faults?: unknown } }).device.faults,
  );
  assert.equal(faults, [{ setpoint: 'desired "20": exception 2' }, undefined]);
});

test('a value that cannot be pushed is told with the device’s state, and its twin is as before', async (context) => {
  const { twins, link, clock } = context;
  join(context);
  link.online = true;
  const faults = new Map([['setpoint', 'cannot be pushed to redis db:6379']]);
  for (const told of [faults, faults, new Map<string, string>()]) {
    twins.reportPushFaults(ID, told);
    await clock.advance(0);
  }
  const states = link.drafts.map(({ content }) => JSON.parse(content as string) as { device: unknown });
  assert.equal(
    states.map(({ device }) => (device as { faults?: unknown }).faults),
    [Object.fromEntries(faults), undefined],
  );
});

test('what changed while the link was down goes up when it returns', async (context) => {
  const { twins, link, clock } = context;
  join(context);
  await twins.handleDevice(ID, 'twin/update', update({ t: { actual: { value: '1' } } }));
  assert.is(link.drafts.length, 0);
  link.online = true;
  twins.link(true);
  await clock.advance(0);
  assert.equal(
    link.drafts.map(({ resource }) => resource),
    ['device/default/plc/state/update', 'device/default/plc/twin/edge_updated'],
  );
});

test('what the cloud did not confirm is offered again after a minute', async (context) => {
  const { twins, link, clock } = context;
  join(context);
  await twins.handleDevice(ID, 'twin/update', update({ t: { actual: { value: '1' } } }));
  link.online = true;
  await clock.advance(minutes(1) - 1);
  assert.is(link.drafts.length, 0);
  await clock.advance(1);
  assert.is(link.drafts.length, 2);
  await clock.advance(minutes(5));
  assert.is(link.drafts.length, 2, 'confirmed: not sent again');
});

test('a restart brings back twins, states and what the cloud has not confirmed', async (context) => {
  const { twins, link, clock, make, objects, mapper, heard } = context;
  objects.devices.push(device('20'));
  objects.models.push(model);
  twins.applyModel(model);
  twins.applyDevice(device('20'));
  twins.reportDeviceState(ID, 'unhealthy', 'no answer');
  link.online = true;
  twins.link(true);
  await clock.advance(0);
  link.online = false;
  await twins.handleDevice(ID, 'twin/update', update({ note: { actual: { value: 'x' } } }));
  const before = { setpoint: twinOf(twins, 'setpoint'), note: twinOf(twins, 'note') };
  await twins.stop();
  link.drafts.length = 0;
  heard.length = 0;
  mapper.calls.length = 0;

  const next = make();
  await next.start();
  assert.equal({ setpoint: twinOf(next, 'setpoint'), note: twinOf(next, 'note') }, before);
  const [entry] = next.list();
  assert.equal([entry?.state, entry?.reason, entry?.name], ['unhealthy', 'no answer', 'plc']);
  assert.equal(mapper.calls, ['apply plc press'], 'served without a cloud');
  assert.equal(heard, [], 'nothing has changed');
  link.online = true;
  next.link(true);
  await clock.advance(0);
  const twin = twinsIn(link.drafts.find(({ resource }) => resource.endsWith('edge_updated')));
  assert.equal(Object.keys(twin), ['note']);
  await next.stop();
});

test('who watches is called after each change, until it no longer wants to', async (context) => {
  const { twins } = context;
  join(context);
  let calls = 0;
  const stop = twins.onChange(() => calls++);
  await twins.handleDevice(ID, 'twin/update', update({ t: { actual: { value: '1' } } }));
  assert.is(calls, 1);
  stop();
  twins.reportDeviceState(ID, 'online');
  assert.is(calls, 1);
});

test('readings of a time when the clock was wrong get their true time, and are told to the cloud again', async (context) => {
  const { twins, time, clock, link, objects } = context;
  objects.models.push(model);
  twins.applyModel(model);
  twins.applyDevice(device());
  time.trusted = false;
  link.online = true;
  await clock.advance(7000);
  twins.reportDeviceStatus(ID, [{ property: 'temperature', value: '21', at: clock.now() }]);
  await clock.advance(3000);
  const told = (): unknown => {
    const draft = link.drafts.findLast(({ resource }) => resource.endsWith('twin/edge_updated'));
    assert.ok(draft);
    return (draft.content as { twin: { temperature: { actual: unknown } } }).twin.temperature.actual;
  };
  assert.is((told() as { metadata: { boot: string; mono: number } }).metadata.mono, 7000);
  const epoch = Date.UTC(2031, 0, 1);
  time.arrive(epoch);
  await clock.advance(0);
  assert.equal(told(), { value: '21', metadata: { timestamp: epoch + 7000 } });
});

test('what is sampled is written about once in ten seconds, all of it when edgecore stops', async (context) => {
  const { twins, store, clock } = context;
  twins.applyModel(model);
  twins.applyDevice(device());
  const read = (value: string): void => {
    twins.reportDeviceStatus(ID, [{ property: 'temperature', value, at: millis(0) }]);
  };
  const written = (): string =>
    /"value":"(\d+)"/.exec(store.twins.get(`${ID} temperature`)?.value ?? '')?.[1] ?? '';
  const seen = new Set<string>();
  for (let i = 0; i < 31; i++) {
    read(String(i));
    await clock.advance(1000);
    seen.add(written());
  }
  assert.is(seen.size - 1, 3, `written: ${[...seen]}`);
  read('99');
  await twins.stop();
  assert.is(written(), '99');
});

/** Bad input, and what the DeviceStatus says: the fault of the property that it concerns, or the device's reason. */
const strange = (spec: object): Device =>
  ({ metadata: { name: 'plc', namespace: 'default' }, spec: { ...device().spec, ...spec } }) as Device;
const properties = (...list: unknown[]) => strange({ properties: list });
const megabyte = 'x'.repeat(1_000_000);
const bad: [string, Device, string, RegExp][] = [
  [
    'a model that is not here',
    strange({ deviceModelRef: { name: 'lost' } }),
    'reason',
    /DeviceModel default\/lost is not here/,
  ],
  [
    'no model at all',
    strange({ deviceModelRef: undefined }),
    'reason',
    /spec\.deviceModelRef\.name: missing/,
  ],
  [
    'an unknown protocol',
    strange({ protocol: { protocolName: 'telepathy' } }),
    'reason',
    /spec\.protocol\.protocolName: no mapper here serves "telepathy"/,
  ],
  ['no protocol', strange({ protocol: {} }), 'reason', /spec\.protocol\.protocolName: missing/],
  [
    'a name twice',
    properties({ name: 'temperature' }, { name: 'temperature' }),
    'temperature',
    /spec\.properties\[1\]\.name: "temperature" is there twice/,
  ],
  [
    'no name',
    properties({ name: 'temperature' }, {}),
    'properties[1]',
    /spec\.properties\[1\]\.name: missing/,
  ],
  [
    'a desired number',
    properties({ name: 'setpoint', desired: { value: 5 } }),
    'setpoint',
    /spec\.properties\[0\]\.desired\.value: 5: want a text/,
  ],
  ['a wrong type', device('much'), 'setpoint', /desired "much": want a number/],
  ['a value below the minimum', device('-1'), 'setpoint', /desired "-1": below the minimum 0/],
  ['a value above the maximum', device('101'), 'setpoint', /desired "101": above the maximum 100/],
  ['a megabyte', device(megabyte), 'setpoint', /^desired "x{59}…: want a number$/],
  [
    'a megabyte of text',
    properties({ name: 'label', desired: { value: megabyte } }),
    'label',
    /^desired "x{59}…: twin label: expected "x{59}… is longer than 512 characters$/,
  ],
  [
    'a value of a read-only property',
    properties({ name: 'temperature', desired: { value: '5' } }),
    'temperature',
    /desired "5": the property is ReadOnly/,
  ],
  [
    'a type of the model that there is not',
    properties({ name: 'odd' }),
    'odd',
    /DeviceModel default\/press: spec\.properties\[3\]\.type: "WORD" is not a property type/,
  ],
];
const strict = {
  metadata: model.metadata,
  spec: {
    properties: [
      { name: 'setpoint', type: 'INT', accessMode: 'ReadWrite', minimum: '0', maximum: '100' },
      { name: 'temperature', type: 'FLOAT', accessMode: 'ReadOnly' },
      { name: 'label', type: 'STRING', accessMode: 'ReadWrite' },
      { name: 'odd', type: 'WORD' },
    ],
  },
} as DeviceModel;
for (const [what, given, at, wanted] of bad) {
  test(`bad input: ${what} is told at ${at}; the rest works`, async (context) => {
    const { twins, link, clock } = context;
    link.online = true;
    twins.applyModel(strict);
    twins.applyDevice(given);
    twins.reportDeviceStatus(ID, [{ property: 'other', value: '1', at: millis(0) }]);
    await clock.advance(0);
    const states = link.drafts.filter(({ resource }) => resource.endsWith('state/update'));
    const { device: told } = JSON.parse(states.at(-1)?.content as string) as {
      device: { reason?: string; faults?: Record<string, string> };
    };
    assert.match((at === 'reason' ? told.reason : told.faults?.[at]) ?? '', wanted);
    assert.is(twinOf(twins, 'other')?.actual?.value, '1');
    assert.is(twinOf(twins, at)?.expected, undefined);
  });
}

test('a bad reading is a fault of its property; those beside it are taken, and a good one heals it', async (context) => {
  const { twins, link, clock } = context;
  link.online = true;
  twins.applyModel(strict);
  twins.applyDevice(device());
  const read = async (property: string, value: string): Promise<string | undefined> => {
    twins.reportDeviceStatus(ID, [
      { property, value, at: millis(0) },
      { property: 'temperature', value: '20.5', at: millis(0) },
    ]);
    await clock.advance(0);
    return twins.get(ID)?.faults.get(property);
  };
  assert.is(await read('setpoint', 'hot'), 'twin setpoint: actual "hot" is no int');
  assert.is(twinOf(twins, 'temperature')?.actual?.value, '20.5');
  assert.match(JSON.stringify(link.drafts), /20\.5/);
  assert.match((await read('label', megabyte)) ?? '', /is longer than 512 characters$/);
  assert.is(await read('setpoint', '7'), undefined);
  assert.is(twinOf(twins, 'setpoint')?.actual?.value, '7');
});

const mqttRefusals: [string, unknown, RegExp][] = [
  [
    'a read-only property',
    { temperature: { expected: { value: '5' } } },
    /^twin temperature: expected "5": the property is ReadOnly$/,
  ],
  [
    'beyond its range',
    { setpoint: { expected: { value: '101' } } },
    /^twin setpoint: expected "101": above the maximum 100$/,
  ],
  [
    'a megabyte',
    { label: { actual: { value: megabyte } } },
    /^twin label: actual "x{59}… is longer than 512 characters$/,
  ],
  [
    'ten thousand twins more',
    Object.fromEntries(Array.from({ length: 10_001 }, (_, i) => [`p${i}`, { actual: { value: '1' } }])),
    /^twin p10000: the device has 10000 twins already$/,
  ],
];
for (const [what, twin, reason] of mqttRefusals) {
  test(`over MQTT ${what} is refused with code 400, all of it`, async (context) => {
    const { twins, heard } = context;
    twins.applyModel(strict);
    twins.applyDevice(device());
    heard.length = 0;
    await twins.handleDevice(ID, 'twin/update', update(twin));
    assert.equal(topics(heard), ['twin/update/result']);
    assert.is(told(heard, 0, 'code'), 400);
    assert.match(told<string>(heard, 0, 'reason'), reason);
  });
}

test('a corrected desired value takes its fault away', async ({ twins }) => {
  twins.applyModel(strict);
  twins.applyDevice(device('101'));
  assert.match(twins.get(ID)?.faults.get('setpoint') ?? '', /maximum/);
  twins.applyDevice(device('99'));
  assert.is(twins.get(ID)?.faults.get('setpoint'), undefined);
  assert.is(twinOf(twins, 'setpoint')?.expected?.value, '99');
});

test('a desired value that came before its model is judged when that comes', ({ twins }) => {
  twins.applyDevice(device('99'));
  assert.is(twinOf(twins, 'setpoint')?.expected, undefined);
  twins.applyModel(strict);
  assert.equal(twinOf(twins, 'setpoint')?.metadata.type, 'int');
  assert.is(twinOf(twins, 'setpoint')?.expected?.value, '99');
});

test('who acts on values hears each of them, and each state that is news', async ({
  twins,
  observed,
  clock,
}) => {
  twins.applyModel(model);
  twins.applyDevice(device());
  observed.length = 0;
  const at = clock.now();
  twins.reportDeviceStatus(ID, [{ property: 'temperature', value: '21.5', at }]);
  twins.reportDeviceStatus(ID, [{ property: 'temperature', value: 'hot', at }]);
  twins.reportDeviceState(ID, 'online');
  twins.reportDeviceState(ID, 'online', 'slow');
  await twins.handleDevice(ID, 'twin/update', update({ setpoint: { actual: { value: '5' } } }));
  assert.equal(observed, [
    [ID, [['temperature', '21.5']]],
    [ID, 'online'],
    [ID, 'online'],
    [ID, [['setpoint', '5']]],
  ]);
});

test.run();
