import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SerialPort } from 'serialport';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { parseAllDocuments } from 'yaml';
import { seededRandom } from '../../runtime/core/test-random.ts';
import { type Cluster, startCluster } from '../kubernetes/cluster.ts';
import { twinPath } from '../kubernetes/device-objects.ts';
import { Mosquitto, type Subscriber } from '../mqtt/mosquitto.ts';
import { Program, until } from '../program.ts';
import { requireProgram } from '../real-parts.ts';
import { type Edit, instrumentObjects } from './instrument-objects.ts';
import { Scale, Thermometer } from './instruments.ts';
import { Line } from './line.ts';

const SEED = Number(process.env.EDGECORE_SEED ?? 4711);
/** The longest wait of the back-off, and a turn. */
const BACK_OFF = 15_000 + 2000;

type Context = {
  cluster: Cluster;
  mqtt: Mosquitto;
  documents: Subscriber;
  lines: Line[];
  thermometer: Thermometer;
  scale: Scale;
};
const test = suite<Context>('serial instruments of the built edgecore');
const hasSocat = requireProgram('socat', 'socat') !== undefined;
const hasClients = requireProgram('mosquitto_sub', 'mosquitto-clients') !== undefined;
const kubectl = requireProgram('kubectl', 'kubernetes-client');

test.before(async (context) => {
  context.lines = [new Line(), new Line(), new Line()];
  context.thermometer = new Thermometer({ random: seededRandom(SEED) });
  context.scale = new Scale();
  if (!hasSocat || !hasClients || !kubectl) return;
  const { lines, thermometer, scale } = context;
  for (const line of lines) await line.connect();
  await thermometer.open(line(context, 0).slaves);
  await scale.open(line(context, 1).slaves);
  context.cluster = await startCluster(kubectl);
  context.mqtt = new Mosquitto(context.cluster.stack.options.ports.mqtt);
  context.documents = await context.mqtt.subscribe(['$hw/events/device/+/+/twin/update/document']);
  await apply(context, 'thermometer', line(context, 0).master, { cycle: 50, config: { timeout: 100 } });
  await apply(context, 'scale', line(context, 1).master);
});
test.after(async ({ cluster, mqtt, lines, thermometer, scale }) => {
  await mqtt?.close();
  await cluster?.close();
  await thermometer.close();
  await scale.close();
  for (const line of lines) await line.remove();
});

function line({ lines }: Context, at: number): Line {
  const found = lines[at];
  if (!found) throw new Error(`no line ${at}`);
  return found;
}

async function apply({ cluster }: Context, example: string, port: string, edit: Edit = {}): Promise<void> {
  const { device, model } = instrumentObjects(example, port, { node: cluster.node, ...edit });
  const here = <T extends { metadata: object }>(object: T): T => ({
    ...object,
    metadata: { ...object.metadata, namespace: cluster.namespace },
  });
  await cluster.kubectl.apply(here(model), here(device));
}

/** Waits until a jsonpath of a DeviceStatus matches. */
function status({ cluster }: Context, device: string, path: string, wanted: RegExp): Promise<true> {
  return until(`${path} of ${device} is ${wanted}`, async () => {
    const now = await cluster.kubectl.value(['devicestatus', device], path);
    if (!wanted.test(now)) throw new Error(`it is ${now}`);
    return true;
  });
}

const STATE = '{.status.state}';
const REASON = '{.status.extensions.reason}';

/** Every value of a property that MQTT was told. */
function told({ documents }: Context, device: string, property: string): string[] {
  return documents.received
    .filter(({ topic }) => topic.includes(`/${device}/`))
    .map(({ payload }) => JSON.parse(payload).twin?.[property]?.current?.actual?.value)
    .filter((value) => typeof value === 'string');
}

async function toldOnMqtt(
  context: Context,
  device: string,
  property: string,
  value: string,
): Promise<number> {
  const start = performance.now();
  await until(
    `${property} of ${device} is ${value} on MQTT`,
    () => told(context, device, property).at(-1) === value,
  );
  return Math.round(performance.now() - start);
}

if (hasSocat && hasClients && kubectl) {
  test('their values are on MQTT and in DeviceStatus', async (context) => {
    await toldOnMqtt(context, 'thermometer', 'temperature', '20');
    await toldOnMqtt(context, 'scale', 'weight', '12.5');
    await status(context, 'thermometer', STATE, /^online$/);
    await status(context, 'scale', STATE, /^online$/);
    await status(context, 'scale', twinPath('stable'), /^true$/);
    context.thermometer.temperature = -7.25;
    await toldOnMqtt(context, 'thermometer', 'temperature', '-7.25');
  });

  test('a desired value is written by template and read back', async (context) => {
    const { thermometer } = context;
    const desired = { cycle: 50, config: { timeout: 100 }, desired: { setpoint: '42.5' } };
    await apply(context, 'thermometer', line(context, 0).master, desired);
    await toldOnMqtt(context, 'thermometer', 'setpoint', '42.5');
    assert.is(thermometer.setpoint, 42.5);
    await status(context, 'thermometer', twinPath('setpoint'), /^42\.5$/);
  });

  test('an adapter that is pulled out is offline with the reason, and comes back within one back-off', async (context) => {
    const { scale } = context;
    await scale.close();
    await line(context, 1).cut();
    await status(context, 'scale', STATE, /^offline$/);
    await status(context, 'scale', REASON, /No such file or directory: is the adapter plugged in\?/);
    await line(context, 1).connect();
    await scale.open(line(context, 1).slaves);
    scale.weight = 3.25;
    const took = await toldOnMqtt(context, 'scale', 'weight', '3.25');
    process.stdout.write(`heard again ${took} ms after it was plugged in\n`);
    assert.ok(took < BACK_OFF);
    await status(context, 'scale', STATE, /^online$/);
  });

  test('a port that is not there, and one that another program has, are told as such', async (context) => {
    await apply(context, 'scale', '/dev/serial/by-id/usb-Nobody', { name: 'missing' });
    await status(context, 'missing', STATE, /^offline$/);
    await status(
      context,
      'missing',
      REASON,
      /^\/dev\/serial\/by-id\/usb-Nobody: No such file or directory: is the adapter/,
    );
    const taken = line(context, 2).master;
    const holder = new SerialPort({ path: taken, baudRate: 9600, autoOpen: false });
    await new Promise<void>((resolve, reject) => holder.open((error) => (error ? reject(error) : resolve())));
    try {
      await apply(context, 'scale', taken, { name: 'taken' });
      await status(context, 'taken', STATE, /^offline$/);
      await status(context, 'taken', REASON, new RegExp(`is taken by .+ \\(process ${process.pid}\\)$`));
    } finally {
      await new Promise<void>((resolve) => holder.close(() => resolve()));
    }
  });

  test('the thermometer of the README works as it stands there', async (context) => {
    const { cluster } = context;
    const readme = readFileSync(new URL('../../mappers/README.md', import.meta.url), 'utf8');
    const yaml = /```yaml\n([\s\S]*?)```/.exec(readme)?.[1];
    const script = /^socat pty,raw,echo=0,link=port (SYSTEM:)'(.+)'$/m.exec(readme);
    assert.ok(yaml && script);
    const dir = mkdtempSync(join(tmpdir(), 'edgecore-readme-'));
    const port = join(dir, 'port');
    const socat = new Program({
      name: 'the thermometer',
      command: 'socat',
      args: ['-d', '-d', `pty,raw,echo=0,link=${port}`, `${script[1]}${script[2]}`],
      log: join(dir, 'socat.log'),
      isReady: (text) => text.includes('starting data transfer loop'),
    });
    try {
      await socat.ready();
      const objects = parseAllDocuments(yaml).map((document) => document.toJS());
      for (const object of objects) {
        object.metadata.namespace = cluster.namespace;
        if (object.kind !== 'Device') continue;
        object.spec.nodeName = cluster.node;
        object.spec.protocol.configData.serialPort = port;
      }
      await cluster.kubectl.apply(...objects);
      await toldOnMqtt(context, 'kitchen', 'temperature', '21.5');
      await toldOnMqtt(context, 'kitchen', 'lamp', 'true');
      await status(context, 'kitchen', STATE, /^online$/);
      await cluster.kubectl.run(['delete', 'device', 'kitchen']);
    } finally {
      await socat.kill();
      rmSync(dir, { recursive: true });
    }
  });

  test(`with 5 % of the bytes damaged MQTT is told what was measured, or nothing (seed ${SEED})`, async (context) => {
    const { thermometer } = context;
    thermometer.moves = true;
    thermometer.misbehave({ damaged: 0.05, garbage: 0.05, cut: 0.02 });
    const before = thermometer.commands;
    await until('300 answers', () => thermometer.commands >= before + 300, 60_000);
    thermometer.misbehave({});
    thermometer.moves = false;
    await toldOnMqtt(context, 'thermometer', 'temperature', String(thermometer.temperature));
    const values = told(context, 'thermometer', 'temperature');
    process.stdout.write(`${values.length} temperatures on MQTT\n`);
    assert.ok(values.length > 50);
    assert.equal(
      values.filter((v) => !thermometer.told.has(v)),
      [],
    );
    await status(context, 'thermometer', STATE, /^online$/);
  });
}

test.run();
