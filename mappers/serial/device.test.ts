import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Device, DeviceModel, DeviceProperty } from '../../runtime/core/devices.ts';
import { FakeClock } from '../../runtime/core/fake-clock.ts';
import { sumOf } from '../kit/checksum.ts';
import type { DriverDevice, Value } from '../kit/driver.ts';
import { WireError } from '../kit/wire-error.ts';
import { SerialConnection, type Wire } from './connection.ts';
import { SerialDriver } from './serial.ts';

/** The far end of a line, in memory. */
class Bench implements Wire {
  readonly sent: string[] = [];
  /** What is said to a request, each as one chunk; none = silence. */
  answer: (request: string) => readonly string[] = () => [];
  private on: Parameters<Wire['listen']>[0] | undefined;

  listen(on: Parameters<Wire['listen']>[0]): void {
    this.on = on;
  }

  send(bytes: Buffer): void {
    const request = bytes.toString('latin1');
    this.sent.push(request);
    for (const text of this.answer(request)) queueMicrotask(() => this.say(text));
  }

  say(text: string): void {
    this.on?.data(Buffer.from(text, 'latin1'));
  }

  pull(): void {
    this.on?.lost('the port is gone');
  }

  async close(): Promise<void> {}
}

type Context = { clock: FakeClock; bench: Bench; connection: SerialConnection };
const test = suite<Context>('a serial device');
test.before.each((context) => {
  context.clock = new FakeClock();
  context.bench = new Bench();
  context.connection = new SerialConnection({ name: '/dev/tty0', wire: context.bench, clock: context.clock });
});

type Free = Readonly<Record<string, unknown>>;

function make(
  { clock }: Context,
  configData: Free,
  visitors: Readonly<Record<string, Free>>,
): DriverDevice<SerialConnection> {
  const properties: DeviceProperty[] = Object.entries(visitors).map(([name, data]) => ({
    name,
    visitors: { configData: data },
  }));
  const model: DeviceModel = {
    metadata: { name: 'm' },
    spec: { properties: properties.map(({ name }) => ({ name, type: 'FLOAT' })) },
  };
  const spec = {
    protocol: {
      protocolName: 'serial',
      configData: { serialPort: '/dev/tty0', timeout: 300, ...configData },
    },
    properties,
  };
  const { device, faults } = new SerialDriver({ clock }).configure(
    { metadata: { name: 'd' }, spec } satisfies Device,
    model,
  );
  assert.equal(faults, []);
  assert.ok(device);
  return device as DriverDevice<SerialConnection>;
}

/** Runs all exchanges and turns the clock until they are through. @returns values as `name=value` or `name!fault` */
async function read(
  { clock, connection }: Context,
  device: DriverDevice<SerialConnection>,
): Promise<string[]> {
  const values: Value[] = [];
  for (const exchange of device.plan(device.points))
    values.push(...(await through(clock, exchange.run(connection))));
  return values.map(show);
}

function show(value: Value): string {
  return 'value' in value ? `${value.property}=${value.value}` : `${value.property}!${value.fault}`;
}

async function through<T>(clock: FakeClock, work: Promise<T>): Promise<T> {
  let done = false;
  const end = work.then(
    () => (done = true),
    () => (done = true),
  );
  for (let i = 0; i < 2000 && !done; i++) await clock.advance(10);
  assert.ok(done, 'it ends');
  await end;
  return work;
}

function failure(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => 'none',
    (error) => (error instanceof WireError ? `${error.kind}: ${error.message}` : String(error)),
  );
}

/** A line with its checksum. */
function guarded(text: string): string {
  return `${text}${sumOf(Buffer.from(text), 'sum8').toString(16).toUpperCase().padStart(2, '0')}\n`;
}

const T = { request: 'T?\\n', match: '^T=(.+)$' };
const H = { request: 'H?\\n', match: '^H=(.+)$' };

test('a question is asked once for all properties that it serves', async (context) => {
  context.bench.answer = () => ['T=21.5 H', '=40\n'];
  const device = make(
    context,
    { requests: { all: 'A?\\n' } },
    {
      t: { ask: 'all', match: 'T=(\\S+)' },
      h: { ask: 'all', match: 'H=(\\S+)' },
    },
  );
  assert.equal(await read(context, device), ['t=21.5', 'h=40']);
  assert.equal(context.bench.sent, ['A?\n']);
});

test('an answer that does not fit is no value, and says what came', async (context) => {
  context.bench.answer = () => ['ERR 3\n'];
  assert.equal(await read(context, make(context, {}, { t: T })), [
    't!T?\\n was answered "ERR 3", which has no such value',
  ]);
  context.bench.answer = () => ['T=2l.5\n'];
  assert.equal(await read(context, make(context, {}, { t: T })), [
    't!T?\\n was answered "T=2l.5": "2l.5" is no number',
  ]);
  context.bench.answer = () => ['ERR 3\n'];
  assert.equal(await read(context, make(context, {}, { t: { ...T, expect: '^T=' } })), [
    't!T?\\n was answered "ERR 3"',
  ]);
});

test('a damaged answer is asked for again, and only so often', async (context) => {
  const check = { checksum: { type: 'sum8', encoding: 'hex' } };
  const answers = ['T=21.5FF\n', 'T=21.6FF\n', guarded('T=21.5')];
  context.bench.answer = () => [answers.shift() ?? 'T=21.7FF\n'];
  const device = make(context, check, { t: T });
  assert.equal(await read(context, device), ['t=21.5']);
  assert.is(context.bench.sent.length, 3);
  assert.equal(await read(context, device), [
    't!the answer to T?\\n came damaged: checksum "FF" instead of "59"',
  ]);
  assert.is(context.bench.sent.length, 6);
});

test('a line that is never silent keeps no question for longer than the timeout', async (context) => {
  const { bench, clock } = context;
  const device = make(context, { checksum: 'xor', retries: 0 }, { t: T });
  const babble = clock.every(20 as never, () => bench.say('babble\n'));
  const before = clock.monotonic();
  assert.match((await read(context, device))[0] ?? '', /^t!the answer to T\?\\n came damaged: checksum/);
  assert.ok(clock.monotonic() - before <= 400, `${clock.monotonic() - before} ms`);
  babble.cancel();
});

test('one question without an answer spoils its own property; all of them, and the device is away', async (context) => {
  context.bench.answer = (request) => (request === 'T?\n' ? ['T=1\n'] : []);
  const device = make(context, {}, { t: T, h: H });
  assert.equal(await read(context, device), ['t=1', 'h!H?\\n was not answered in time']);
  assert.equal(await read(context, device), ['t=1', 'h!H?\\n was not answered in time']);
  context.bench.answer = () => [];
  assert.is(await failure(read(context, device)), 'timeout: /dev/tty0: no answer in time');
});

test('a late answer is not taken for that to the next question', async (context) => {
  const { bench, clock } = context;
  bench.answer = (request) => {
    if (request === 'T?\n') clock.after(350 as never, () => bench.say('1\n'));
    return request === 'H?\n' ? ['2\n'] : [];
  };
  const device = make(
    context,
    { retries: 0 },
    { t: { ...T, match: '^(.+)$' }, h: { ...H, match: '^(.+)$' } },
  );
  for (let round = 0; round < 3; round++)
    assert.equal(await read(context, device), ['t!T?\\n was not answered in time', 'h=2']);
});

test('a port that is lost ends the question at once', async (context) => {
  const device = make(context, {}, { t: T });
  const asked = failure(read(context, device));
  await context.clock.advance(10);
  context.bench.pull();
  await context.clock.advance(0);
  assert.is(await asked, 'unreachable: /dev/tty0: the port is gone');
  assert.is(await context.connection.lost, '/dev/tty0: the port is gone');
  assert.is(context.clock.pending, 0);
});

test('a value is written by template, and a refusal is told', async (context) => {
  const device = make(
    context,
    { checksum: { type: 'sum8', encoding: 'hex' } },
    {
      t: { ...T, write: 'SET {value:%.1f}{checksum}\\n', answer: '^OK$', refused: '^NO' },
    },
  );
  const [point] = device.points;
  assert.ok(point);
  context.bench.answer = () => [guarded('OK')];
  await through(context.clock, device.write(context.connection, point, '21'));
  assert.equal(context.bench.sent, [guarded('SET 21.0')]);
  context.bench.answer = () => [guarded('NO 9')];
  const refused = through(context.clock, device.write(context.connection, point, '99'));
  assert.is(await failure(refused), 'exception: it answers "NO 9"');
  context.bench.answer = () => [];
  const silent = through(context.clock, device.write(context.connection, point, '21'));
  assert.is(await failure(silent), 'timeout: /dev/tty0: no answer in time to a write');
  assert.is(await failure(device.write(context.connection, point, 'warm')), 'refused: "warm": want a number');
});

test('a property that is only written opens the port, and is not read back', async (context) => {
  const device = make(context, {}, { t: { write: 'BEEP {value:%d}\\n' } });
  assert.equal(await read(context, device), []);
  const [point] = device.points;
  assert.ok(point);
  await through(context.clock, device.write(context.connection, point, '3'));
  assert.equal(context.bench.sent, ['BEEP 3\n']);
  assert.is(device.plan([point]).length, 1);
});

const W = { match: '^ST,(.+)kg$' };

test('a device that speaks unasked is heard, and what it has not said for long is not known', async (context) => {
  const { bench, clock, connection } = context;
  const device = make(context, { listen: true, staleAfter: 5000 }, { w: W, u: { match: '^US,(.+)kg$' } });
  const heard: string[] = [];
  device.listen?.(connection, (values) => heard.push(...values.map(show)));
  assert.equal(await read(context, device), ['w!nothing heard yet', 'u!nothing heard yet']);
  bench.say('2.0kg\nST,1'); // begins in the middle of a frame
  bench.say('2.5kg\nUS,x');
  bench.say('kg\n');
  assert.equal(heard, ['w=12.5', 'u!"x" is no number']);
  assert.equal(await read(context, device), []);
  await clock.advance(4000);
  bench.say('ST,13kg\n');
  await clock.advance(2000);
  assert.equal(await read(context, device), ['u!not heard for 5 s; the last frame was "ST,13kg"']);
  await clock.advance(4000);
  assert.is(await failure(read(context, device)), 'timeout: /dev/tty0: nothing heard for 5 s');
  bench.say('ST,14kg\n');
  assert.is(heard.at(-1), 'w=14');
});

test('a device that speaks unasked may be asked too, and its answer is told apart', async (context) => {
  const { bench, clock, connection } = context;
  const device = make(context, { listen: true }, { t: { ...T, expect: '^T=' }, w: W });
  const heard: string[] = [];
  device.listen?.(connection, (values) => heard.push(...values.map(show)));
  bench.answer = () => ['\nST,1kg\n', 'T=5\nST,2kg\n'];
  assert.equal(await read(context, device), ['t=5']);
  bench.answer = () => ['ST,3kg\n'];
  assert.equal(await read(context, device), ['t!T?\\n was not answered in time']);
  assert.equal(heard, ['w=1', 'w=2', 'w=3', 'w=3']);
  bench.answer = () => [];
  await clock.advance(10_000);
  assert.is(await failure(read(context, device)), 'timeout: /dev/tty0: no answer in time');
});

test('what it says after a write is read back', async (context) => {
  const { bench, clock, connection } = context;
  const device = make(context, { listen: true }, { w: { ...W, write: 'ZERO {value}\\n' } });
  device.listen?.(connection, () => {});
  const [point] = device.points;
  assert.ok(point);
  bench.say('\nST,12kg\n');
  await through(clock, device.write(connection, point, '0'));
  const [exchange] = device.plan([point]);
  assert.ok(exchange);
  const back = exchange.run(connection);
  bench.say('ST,12kg\n'); // it was on its way
  await clock.advance(100);
  bench.say('ST,0.0kg\n');
  assert.equal((await through(clock, back)).map(show), ['w=0']);
});

test('a device that is configured anew takes the place of its former self on an open port', async (context) => {
  const { bench, connection } = context;
  const heard: string[] = [];
  for (const scale of [1, 10]) {
    const device = make(context, { listen: true }, { w: { ...W, scale } });
    device.listen?.(connection, (values) => heard.push(...values.map(show)));
  }
  bench.say('\nST,12kg\n');
  assert.equal(heard, ['w=120']);
});

test.run();
