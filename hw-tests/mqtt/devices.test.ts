import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Cluster, startCluster } from '../kubernetes/cluster.ts';
import { plcObjects, switchPatch, twinPath } from '../kubernetes/device-objects.ts';
import { Plc } from '../plc/plc.ts';
import { until } from '../program.ts';
import { requireProgram } from '../real-parts.ts';
import { DeviceBus, type Event } from './device-bus.ts';
import { Mosquitto } from './mosquitto.ts';

type Context = { cluster: Cluster; plc: Plc; mqtt: Mosquitto; bus: DeviceBus };
const test = suite<Context>('devices through MQTT');
const kubectl = requireProgram('kubectl', 'kubernetes-client');
const hasClients =
  requireProgram('mosquitto_pub', 'mosquitto-clients') !== undefined &&
  requireProgram('mosquitto_sub', 'mosquitto-clients') !== undefined;

/** A device that nothing on the node polls: an application speaks for it on MQTT. */
function sensorObjects(node: string, name = 'sensor') {
  const apiVersion = 'devices.kubeedge.io/v1beta1';
  const model = {
    apiVersion,
    kind: 'DeviceModel',
    metadata: { name: 'sensor-model' },
    spec: {
      protocol: 'application',
      properties: [
        { name: 'temperature', type: 'FLOAT', accessMode: 'ReadWrite' },
        { name: 'mode', type: 'STRING', accessMode: 'ReadWrite' },
      ],
    },
  };
  const visitors = { protocolName: 'application', configData: {} };
  const device = {
    apiVersion,
    kind: 'Device',
    metadata: { name },
    spec: {
      deviceModelRef: { name: 'sensor-model' },
      nodeName: node,
      protocol: { protocolName: 'application', configData: {} },
      properties: [
        { name: 'temperature', reportToCloud: true, visitors },
        { name: 'mode', reportToCloud: true, desired: { value: 'eco' }, visitors },
      ],
    },
  };
  return { model, device };
}

test.before(async (context) => {
  context.plc = new Plc({ moves: false });
  if (!kubectl || !hasClients) return;
  const port = await context.plc.start('127.0.0.1', 0);
  context.cluster = await startCluster(kubectl);
  const { cluster } = context;
  context.mqtt = new Mosquitto(cluster.stack.options.ports.mqtt);
  context.bus = await DeviceBus.open(context.mqtt);
  const plc = plcObjects({ node: cluster.node, port });
  const sensor = sensorObjects(cluster.node);
  await cluster.kubectl.apply(plc.model, plc.device, sensor.model, sensor.device);
  await context.bus.event(`${device(context)}/twin/update/delta`);
});

test.after(async ({ cluster, plc, mqtt }) => {
  await mqtt?.close();
  await cluster?.close();
  await plc.stop();
});

/** `$hw/events/device/<namespace>/<name>` */
function device({ cluster }: Context, name = 'sensor'): string {
  return `$hw/events/device/${cluster.namespace}/${name}`;
}

function node({ cluster }: Context): string {
  return `$hw/events/node/${cluster.node}`;
}

function update(context: Context, twin: Readonly<Record<string, unknown>>, name = 'sensor'): Promise<Event> {
  const topic = `${device(context, name)}/twin/update`;
  return context.bus.ask(topic, `${topic}/result`, { twin });
}

/** Waits until a jsonpath of the DeviceStatus has a value. */
function status({ cluster }: Context, path: string, wanted: string, name = 'sensor'): Promise<true> {
  return until(`${path} of ${name} is ${wanted}`, async () => {
    const value = await cluster.kubectl.value(['devicestatus', name], path);
    return value === wanted ? true : undefined;
  });
}

/** A payload with every time replaced, so that its whole shape can be compared. */
function timeless(payload: unknown): unknown {
  return JSON.parse(JSON.stringify(payload), (key, value) => {
    if (key === 'timestamp') {
      assert.ok(Number.isInteger(value) && Math.abs(Date.now() - value) < 60_000, `timestamp ${value}`);
      return 'now';
    }
    return key === 'event_id' ? undefined : value;
  });
}

function side(value: string): unknown {
  return { value, metadata: { timestamp: 'now' } };
}

if (kubectl && hasClients) {
  test('twin/update is answered on result and told on document, in this order and without versions', async (context) => {
    const { bus } = context;
    const typed = { metadata: { type: 'float' } };
    const first = await update(context, { temperature: { actual: { value: '20.5' }, ...typed } });
    const before = { actual: side('20.5'), optional: true, ...typed };
    assert.equal(timeless(first.payload), { timestamp: 'now', twin: { temperature: before } });
    const added = await bus.companion(first, `${device(context)}/twin/update/document`);
    assert.equal(timeless(added.payload), {
      timestamp: 'now',
      twin: { temperature: { last: null, current: before } },
    });
    const second = await update(context, { temperature: { actual: { value: '21' } } });
    const changed = await bus.companion(second, `${device(context)}/twin/update/document`);
    assert.equal(timeless(changed.payload), {
      timestamp: 'now',
      twin: { temperature: { last: before, current: { ...before, actual: side('21') } } },
    });
    assert.equal(bus.topicsOf(second).slice(0, 2), [second.topic, changed.topic]);
  });

  test('what is expected and not there is told on delta with every expected twin, until it is there', async (context) => {
    const { bus } = context;
    await update(context, { mode: { actual: { value: 'eco' } } });
    const wanted = await update(context, { temperature: { expected: { value: '23' } } });
    const delta = await bus.companion(wanted, `${device(context)}/twin/update/delta`);
    assert.equal(delta.payload.delta, { temperature: '23' });
    assert.equal(Object.keys(delta.payload.twin as object).sort(), ['mode', 'temperature']);
    assert.equal(timeless((delta.payload.twin as Record<string, unknown>).temperature), {
      expected: side('23'),
      actual: side('21'),
      optional: true,
      metadata: { type: 'float' },
    });
    const reached = await update(context, { temperature: { actual: { value: '23' } } });
    await bus.companion(reached, `${device(context)}/twin/update/document`);
    const later = await update(context, { temperature: { actual: { value: '23' } } });
    await bus.companion(later, `${device(context)}/twin/update/document`);
    assert.equal(bus.topicsOf(reached), [
      `${device(context)}/twin/update/result`,
      `${device(context)}/twin/update/document`,
    ]);
  });

  test('twin/get is answered with every twin, without versions', async (context) => {
    const topic = `${device(context)}/twin/get`;
    const answer = await context.bus.ask(topic, `${topic}/result`);
    assert.equal(timeless(answer.payload), {
      timestamp: 'now',
      twin: {
        mode: { expected: side('eco'), actual: side('eco'), optional: true, metadata: { type: 'string' } },
        temperature: {
          expected: side('23'),
          actual: side('23'),
          optional: true,
          metadata: { type: 'float' },
        },
      },
    });
  });

  test('a twin that is null is removed: null in result and document, gone from twin/get', async (context) => {
    const { bus } = context;
    await update(context, { scratch: { actual: { value: 'x' } } });
    const removed = await update(context, { scratch: null });
    assert.equal(removed.payload.twin, { scratch: null });
    const document = await bus.companion(removed, `${device(context)}/twin/update/document`);
    assert.equal(timeless(document.payload.twin), {
      scratch: {
        last: { actual: side('x'), optional: true, metadata: { type: 'string' } },
        current: null,
      },
    });
    const get = `${device(context)}/twin/get`;
    const left = (await bus.ask(get, `${get}/result`)).payload.twin as object;
    assert.equal(Object.keys(left).sort(), ['mode', 'temperature']);
    // It may come back as another type, and what it was before is not told.
    const back = await update(context, {
      scratch: { actual: { value: '1' }, metadata: { type: 'int' } },
    });
    const again = await bus.companion(back, `${device(context)}/twin/update/document`);
    assert.equal(timeless(again.payload.twin), {
      scratch: { last: null, current: { actual: side('1'), optional: true, metadata: { type: 'int' } } },
    });
    await update(context, { scratch: null });
  });

  test('an unknown device is answered with 404, also in a namespace that is called like a part of the topic', async (context) => {
    const { bus } = context;
    for (const id of [`${context.cluster.namespace}/nobody`, 'device/nobody', 'events/twin', 'e/state']) {
      for (const action of ['twin/update', 'twin/get']) {
        const topic = `$hw/events/device/${id}/${action}`;
        const { payload } = await bus.ask(topic, `${topic}/result`, { twin: {} });
        assert.is(payload.code, 404);
        assert.match(String(payload.reason), new RegExp(id));
        assert.equal(Object.keys(payload).sort(), ['code', 'event_id', 'reason', 'timestamp']);
      }
    }
  });

  test('what is no JSON is answered with 400 on every topic that answers', async (context) => {
    for (const topic of [
      `${device(context)}/twin/update`,
      `${device(context)}/twin/get`,
      `${node(context)}/membership/get`,
    ]) {
      for (const payload of ['{"event_id":', '[]', '"text"', 'plain']) {
        const answer = await context.bus.askRaw(topic, `${topic}/result`, payload);
        assert.is(answer.payload.code, 400, `${topic} ${payload}`);
        assert.match(String(answer.payload.reason), /JSON/);
      }
    }
  });

  test('an update that breaks the rules is answered with 400 and changes nothing', async (context) => {
    const topic = `${device(context)}/twin/update`;
    const refused = {
      'no twin': {},
      'a twin that is no object': { twin: 7 },
      'a name with blanks': { twin: { 'a b': { actual: { value: '1' } } } },
      'a name that is too long': { twin: { ['k'.repeat(129)]: { actual: { value: '1' } } } },
      'an unknown type': { twin: { fresh: { actual: { value: '1' }, metadata: { type: 'matrix' } } } },
      'a value of another type': { twin: { temperature: { actual: { value: 'warm' } } } },
      'a value that is no text': { twin: { temperature: { actual: { value: 21 } } } },
      'a value that is too long': { twin: { mode: { actual: { value: 'v'.repeat(513) } } } },
      'one of two': { twin: { mode: { actual: { value: 'x' } }, temperature: { actual: { value: 'x' } } } },
    };
    for (const [what, body] of Object.entries(refused)) {
      const { payload } = await context.bus.ask(topic, `${topic}/result`, body);
      assert.is(payload.code, 400, what);
      assert.ok(payload.reason, what);
    }
    const get = `${device(context)}/twin/get`;
    const { twin } = (await context.bus.ask(get, `${get}/result`)).payload;
    const { mode, temperature } = twin as Record<string, { actual: { value: string } }>;
    assert.equal([mode?.actual.value, temperature?.actual.value], ['eco', '23']);
  });

  test('state/update is answered each time, in lower case, with the time while the device is online', async (context) => {
    const { bus } = context;
    const topic = `${device(context)}/state/update`;
    for (const [state, told] of [
      ['online', 'online'],
      ['online', 'online'],
      ['OK', 'ok'],
      ['Offline', 'offline'],
      ['unhealthy', 'unhealthy'],
      ['unknown', 'unknown'],
    ] as const) {
      const { payload } = await bus.ask(topic, `${topic}/result`, { state });
      const { lastOnlineTime, ...rest } = payload.device as Record<string, unknown>;
      assert.equal(rest, { name: 'sensor', state: told });
      const isThere = told === 'online' || told === 'ok';
      assert.match(String(lastOnlineTime), isThere ? /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/ : /^$/);
    }
    // A state that there is not is passed over: the next answer is that of the next request.
    await context.mqtt.publish(topic, '{"state":"dancing"}');
    const next = await bus.askRaw(topic, `${topic}/result`, '{"state":"online"}');
    assert.is((next.payload.device as { state: string }).state, 'online');
  });

  test('state/update through MQTT is in DeviceStatus', async (context) => {
    const topic = `${device(context)}/state/update`;
    await context.bus.ask(topic, `${topic}/result`, { state: 'online' });
    await status(context, '{.status.state}', 'online');
    const last = await context.cluster.kubectl.value(['devicestatus', 'sensor'], '{.status.lastOnlineTime}');
    assert.match(last, /Z$/);
    await context.bus.ask(topic, `${topic}/result`, { state: 'offline' });
    await status(context, '{.status.state}', 'offline');
    assert.is(
      await context.cluster.kubectl.value(['devicestatus', 'sensor'], '{.status.lastOnlineTime}'),
      last,
    );
  });

  test('a twin update through MQTT is in DeviceStatus', async (context) => {
    await update(context, {
      temperature: { actual: { value: '-3.25' }, expected: { value: '19' } },
      mode: { actual: { value: 'boost' } },
    });
    await status(context, twinPath('temperature'), '-3.25');
    await status(context, twinPath('temperature', 'observedDesired'), '19');
    await status(context, twinPath('mode'), 'boost');
  });

  test('each type of twin takes its values, refuses others, and is told to Kubernetes', async (context) => {
    const topic = `${device(context)}/twin/update`;
    for (const [given, type, good, bad] of [
      ['', 'string', 'any text', undefined],
      ['string', 'string', '', undefined],
      ['int', 'int', '-12', '1.5'],
      ['integer', 'int', '+7', '0x10'],
      ['float', 'float', '-1.5e3', 'warm'],
      ['boolean', 'boolean', 'true', 'TRUE'],
    ] as const) {
      const name = `typed-${given}`;
      const twin = (value: string) => ({ [name]: { actual: { value }, metadata: { type: given } } });
      const taken = await update(context, twin(good));
      assert.equal(timeless(taken.payload), {
        timestamp: 'now',
        twin: { [name]: { actual: side(good), optional: true, metadata: { type } } },
      });
      if (bad !== undefined) {
        const { payload } = await context.bus.ask(topic, `${topic}/result`, { twin: twin(bad) });
        assert.equal(
          [payload.code, new RegExp(`twin ${name}: actual .* is no ${type}`).test(`${payload.reason}`)],
          [400, true],
        );
      }
      await update(context, { [name]: null });
    }
    await update(context, { temperature: { actual: { value: '7.5' } } });
    await status(context, twinPath('temperature'), '7.5');
    const path = '{.status.twins[?(@.propertyName=="temperature")].reported.metadata}';
    const metadata = JSON.parse(await context.cluster.kubectl.value(['devicestatus', 'sensor'], path));
    assert.is(metadata.type, 'float');
    assert.ok(Math.abs(Date.now() - Number(metadata.timestamp)) < 60_000, metadata.timestamp);
  });

  test('every character that a name and a value may have, and the longest of both', async (context) => {
    const name = `aZ09-_.,:/@#${'k'.repeat(116)}`;
    const value = `aZ09-_.,:/@#${'v'.repeat(500)}`;
    const { payload } = await update(context, { [name]: { actual: { value } } });
    assert.is((payload.twin as Record<string, { actual: { value: string } }>)[name]?.actual.value, value);
    await update(context, { [name]: null });
  });

  test('a twin that is not optional is not removed', async (context) => {
    const topic = `${device(context)}/twin/update`;
    await update(context, { fixed: { actual: { value: '1' }, optional: false } });
    const { payload } = await context.bus.ask(topic, `${topic}/result`, { twin: { fixed: null } });
    assert.equal([payload.code, payload.reason], [400, 'twin fixed: it is not optional']);
    const missing = await context.bus.ask(topic, `${topic}/result`, { twin: { nothing: null } });
    assert.is(missing.payload.code, 400);
  });

  test('requests without event id, time or payload are answered all the same', async (context) => {
    const { bus } = context;
    const get = `${device(context)}/twin/get`;
    for (const payload of ['', '{}', '{"event_id":7,"timestamp":"now"}']) {
      const answer = await bus.askRaw(get, `${get}/result`, payload);
      assert.is(answer.payload.event_id, '');
      assert.ok(answer.payload.twin);
      const list = await bus.askRaw(
        `${node(context)}/membership/get`,
        `${node(context)}/membership/get/result`,
        payload,
      );
      assert.is((list.payload.devices as unknown[]).length, 2);
    }
  });

  test('QoS 0 and 2 are answered like 1, and a request that is retained is answered once', async (context) => {
    const { bus, mqtt } = context;
    const topic = `${device(context)}/twin/update`;
    for (const qos of [0, 2] as const) {
      const event_id = `qos-${qos}`;
      await mqtt.publish(
        topic,
        JSON.stringify({ event_id, twin: { mode: { actual: { value: event_id } } } }),
        { qos },
      );
      await bus.event(`${topic}/result`, ({ payload }) => payload.event_id === event_id);
      await status(context, twinPath('mode'), event_id);
    }
    const event_id = 'retained';
    const text = JSON.stringify({ event_id, twin: { mode: { actual: { value: event_id } } } });
    await mqtt.publish(topic, text, { args: ['-r'] });
    await bus.event(`${topic}/result`, ({ payload }) => payload.event_id === event_id);
    await mqtt.publish(topic, '', { args: ['-r'] });
    await update(context, { mode: { actual: { value: 'after' } } });
    const answers = bus.events.filter(
      (event) => event.topic === `${topic}/result` && event.payload.event_id === event_id,
    );
    assert.is(answers.length, 1);
  });

  test('a desired value set with kubectl is told on delta', async (context) => {
    const patch = [{ op: 'replace', path: '/spec/properties/1/desired/value', value: 'night' }];
    await context.cluster.kubectl.run([
      'patch',
      'device',
      'sensor',
      '--type',
      'json',
      '-p',
      JSON.stringify(patch),
    ]);
    const delta = await context.bus.event(
      `${device(context)}/twin/update/delta`,
      ({ payload }) => (payload.delta as Record<string, string>).mode === 'night',
    );
    const { mode } = delta.payload.twin as Record<string, { expected: { value: string } }>;
    assert.is(mode?.expected.value, 'night');
    await status(context, twinPath('mode', 'observedDesired'), 'night');
  });

  test("a polled device's readings and states are told on MQTT, and its desired value from delta to done", async (context) => {
    const { bus, plc, cluster } = context;
    await bus.event(
      `${device(context, 'plc')}/state/update/result`,
      ({ payload }) => (payload.device as { state: string }).state === 'online',
    );
    const twin = ({ payload }: Event) => payload.twin as Record<string, { actual?: { value: string } }>;
    plc.memory.input.writeInt16BE(-77, 0);
    const result = `${device(context, 'plc')}/twin/update/result`;
    await bus.event(result, (event) => twin(event).temperature?.actual?.value === '-7.7');
    await cluster.kubectl.run(switchPatch(true));
    await bus.event(
      `${device(context, 'plc')}/twin/update/delta`,
      ({ payload }) => (payload.delta as Record<string, string>).switch === 'true',
    );
    await bus.event(result, (event) => twin(event).switch?.actual?.value === 'true');
    assert.is(plc.memory.coils[0], 1);
  });

  test('membership/get is answered with the devices of the node', async (context) => {
    const topic = `${node(context)}/membership/get`;
    const { payload } = await context.bus.ask(topic, `${topic}/result`);
    const devices = payload.devices as Record<string, unknown>[];
    const { namespace } = context.cluster;
    assert.equal(devices.map(({ id }) => id).sort(), [`${namespace}/plc`, `${namespace}/sensor`]);
    const sensor = devices.find(({ name }) => name === 'sensor');
    assert.equal([sensor?.state, sensor?.last_online, typeof sensor?.description], ['offline', '', 'string']);
    const plc = devices.find(({ name }) => name === 'plc');
    assert.is(plc?.state, 'online');
    assert.match(String(plc?.last_online), /Z$/);
  });

  test('membership/updated tells of a Device that is added or removed with kubectl', async (context) => {
    const { bus, cluster } = context;
    const topic = `${node(context)}/membership/updated`;
    const id = `${cluster.namespace}/visitor`;
    const names = (list: unknown) => ((list ?? []) as { id: string }[]).map((entry) => entry.id);
    await cluster.kubectl.apply(sensorObjects(cluster.node, 'visitor').device);
    const added = await bus.event(topic, ({ payload }) => names(payload.added_devices).includes(id));
    assert.is(added.payload.removed_devices, null);
    const [first] = added.payload.added_devices as Record<string, unknown>[];
    assert.equal([first?.id, first?.name], [id, 'visitor']);
    // It is there to talk to.
    const twin = `${device(context, 'visitor')}/twin/get`;
    assert.is((await bus.ask(twin, `${twin}/result`)).payload.code, undefined);
    await cluster.kubectl.run(['delete', 'device', 'visitor']);
    const removed = await bus.event(topic, ({ payload }) => names(payload.removed_devices).includes(id));
    assert.is(removed.payload.added_devices, null);
    assert.is((await bus.ask(twin, `${twin}/result`)).payload.code, 404);
    assert.ok(added.payload.event_id && removed.payload.event_id);
  });
}

test.run();
