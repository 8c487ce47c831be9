import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Cluster, startCluster } from '../kubernetes/cluster.ts';
import { twinPath } from '../kubernetes/device-objects.ts';
import { DeviceBus } from '../mqtt/device-bus.ts';
import { Mosquitto } from '../mqtt/mosquitto.ts';
import { Plc } from '../plc/plc.ts';
import { until } from '../program.ts';
import { requireProgram } from '../real-parts.ts';
import { goodObjects, refusedByKubectl, toldInStatus } from './bad-input.ts';

type Context = { cluster: Cluster; plc: Plc; port: number; mqtt: Mosquitto; bus: DeviceBus };
const test = suite<Context>('bad input over devices');
const kubectl = requireProgram('kubectl', 'kubernetes-client');
const hasClients =
  requireProgram('mosquitto_pub', 'mosquitto-clients') !== undefined &&
  requireProgram('mosquitto_sub', 'mosquitto-clients') !== undefined;

test.before(async (context) => {
  context.plc = new Plc({ moves: false });
  if (!kubectl || !hasClients) return;
  context.port = await context.plc.start('127.0.0.1', 0);
  context.cluster = await startCluster(kubectl);
  const { cluster, port } = context;
  context.mqtt = new Mosquitto(cluster.stack.options.ports.mqtt);
  context.bus = await DeviceBus.open(context.mqtt);
  const all = [undefined, ...toldInStatus].flatMap((bad) => {
    const objects = goodObjects(cluster.node, port, bad?.what ?? 'sound');
    bad?.spoil(objects);
    return [objects.model, objects.device];
  });
  // What is applied is also kept in an annotation, which has no room for a megabyte.
  await cluster.kubectl.create({ apiVersion: 'v1', kind: 'List', items: all });
});

test.after(async ({ cluster, plc, mqtt }) => {
  await mqtt?.close();
  await cluster?.close();
  await plc.stop();
});

if (kubectl && hasClients) {
  for (const { what, spoil, told, needsRules } of refusedByKubectl) {
    if (needsRules && !process.env.KUBECONFIG) continue;
    test(`${what} is refused when it is applied, by place and rule`, async ({ cluster, port }) => {
      const objects = goodObjects(cluster.node, port, 'refused');
      spoil(objects);
      const items = [objects.model, objects.device];
      const said = await cluster.kubectl.refusal(
        ['create', '--dry-run=server', '--validate=false', '-f', '-'],
        {
          apiVersion: 'v1',
          kind: 'List',
          items,
        },
      );
      assert.match(said, told);
    });
  }

  for (const { what, told, works = true } of toldInStatus) {
    test(`${what} is told in the DeviceStatus, and the rest works`, async ({ cluster, plc }) => {
      const extensions = await until(`${what} is told`, async () => {
        const found = await cluster.kubectl.value(['devicestatus', what], '{.status.extensions}');
        if (told.test(found)) return found;
        throw new Error(`${found} is told`);
      });
      assert.ok(extensions.length < 2000, `an operator reads ${extensions.length} characters`);
      if (!works) return;
      const count = 1 + Math.floor(plc.memory.input.readUInt32BE(4)) + 7;
      plc.memory.input.writeUInt32BE(count, 4);
      await until(`${what}: the good property moves`, async () => {
        const value = await cluster.kubectl.value(['devicestatus', what], twinPath('good'));
        return value === String(count);
      });
    });
  }

  const wide = (count: number, value: string) =>
    Object.fromEntries(Array.from({ length: count }, (_, i) => [`k${i}`, { actual: { value } }]));
  for (const [what, twin, told] of [
    [
      'above the maximum',
      { bad: { expected: { value: '81' } } },
      /twin bad: expected "81": above the maximum 80/,
    ],
    [
      'below the minimum',
      { bad: { expected: { value: '1' } } },
      /twin bad: expected "1": below the minimum 5/,
    ],
    ['no number', { bad: { expected: { value: 'warm' } } }, /twin bad: expected "warm" is no float/],
    [
      'read-only',
      { good: { expected: { value: '1' } } },
      /twin good: expected "1": the property is ReadOnly/,
    ],
    ['a reading of another type', { good: { actual: { value: 'x' } } }, /twin good: actual "x" is no int/],
    [
      'a value of a megabyte',
      { text: { actual: { value: 'x'.repeat(1_000_000) } } },
      /twin text: actual "x+… is longer than 512/,
    ],
    ['a number', { bad: { actual: { value: 5 } } }, /twin bad: actual.value must be a string/],
    ['a list', { bad: [] }, /twin bad: want an object or null/],
    [
      'a type that there is not',
      { odd: { actual: { value: '1' }, metadata: { type: 'm'.repeat(1000) } } },
      /twin odd: "m+… is no twin type/,
    ],
    ['too many twins', wide(10_001, '1'), /twin k\d+: the device has 10000 twins already/],
  ] as const) {
    test(`a twin update with ${what} is refused by name and rule, whole`, async ({ bus, cluster }) => {
      const topic = `$hw/events/device/${cluster.namespace}/sound/twin/update`;
      const { payload } = await bus.ask(topic, `${topic}/result`, {
        twin: { ...twin, fine: { actual: { value: '1' } } },
      });
      assert.is(payload.code, 400);
      assert.match(String(payload.reason), told);
      assert.ok(String(payload.reason).length < 300, 'a person reads it');
      const get = `$hw/events/device/${cluster.namespace}/sound/twin/get`;
      const answer = await bus.ask(get, `${get}/result`);
      assert.not(Object.hasOwn(answer.payload.twin as object, 'fine'));
    });
  }

  test('a megabyte of twins that are right is taken', async ({ bus, cluster }) => {
    const topic = `$hw/events/device/${cluster.namespace}/sound/twin/update`;
    const { payload } = await bus.ask(topic, `${topic}/result`, { twin: wide(1_500, 'v'.repeat(500)) });
    assert.is(payload.code, undefined);
    assert.is(Object.keys(payload.twin as object).length, 1_500);
  });

  test('after all of it the sound device is sound', async ({ cluster }) => {
    await until('it is online without a fault', async () => {
      const path = '{.status.state} {.status.extensions}';
      const found = await cluster.kubectl.value(['devicestatus', 'sound'], path);
      // On a busy machine so many devices on one PLC may be read late, which is told and no fault.
      if (/^online( \{(?:"reason":"a cycle of \d+ ms cannot be kept[^"]*")?\})?\s*$/.test(found)) return true;
      throw new Error(found);
    });
  });
}

test.run();
