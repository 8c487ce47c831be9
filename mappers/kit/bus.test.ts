import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { FakeClock } from '../../runtime/core/fake-clock.ts';
import { seconds } from '../../runtime/core/units.ts';
import { Bus } from './bus.ts';
import type { Connection } from './driver.ts';
import { WireError } from './wire-error.ts';

class FakeTransport {
  opens = 0;
  closes = 0;
  fault: Error | undefined;
  /** Breaks the connection that was opened last. */
  lose: (reason: string) => void = () => {};

  async open(): Promise<Connection> {
    this.opens++;
    if (this.fault) throw this.fault;
    const lost = new Promise<string>((resolve) => {
      this.lose = resolve;
    });
    return { lost, close: () => this.close() };
  }

  close(): void {
    this.closes++;
  }
}

type Context = { clock: FakeClock; transport: FakeTransport; bus: Bus };
const test = suite<Context>('bus');

test.before.each((context) => {
  context.clock = new FakeClock();
  context.transport = new FakeTransport();
  context.bus = new Bus({
    connect: () => context.transport.open(),
    clock: context.clock,
    random: () => 0.5,
  });
});
test.after.each(({ bus, clock }) => {
  void bus.stop();
  assert.is(clock.pending, 0);
});

const kindOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    (value) => value,
    (error: unknown) => (error instanceof WireError ? error.kind : error),
  );
const fails = (kind: WireError['kind']) => (): Promise<never> => Promise.reject(new WireError(kind, kind));
const answers = async (): Promise<string> => 'ok';

test('the connection is opened by the first request and kept', async ({ bus, transport }) => {
  assert.is(transport.opens, 0);
  for (let i = 0; i < 3; i++) assert.is(await bus.request('read', answers), 'ok');
  assert.equal([transport.opens, transport.closes], [1, 0]);
});

test('requests take turns, writes before reads', async ({ bus, clock }) => {
  const begun: string[] = [];
  let underWay = 0;
  const job = (name: string) => async (): Promise<void> => {
    begun.push(name);
    assert.is(++underWay, 1, 'one at a time');
    await clock.advance(0);
    underWay--;
  };
  await Promise.all([
    bus.request('read', job('r1')),
    bus.request('read', job('r2')),
    bus.request('write', job('w1')),
    bus.request('read', job('r3')),
    bus.request('write', job('w2')),
  ]);
  assert.equal(begun[0], 'r1');
  assert.equal(begun.slice(1), ['w1', 'w2', 'r2', 'r3']);
});

test('a request that fails does not hold up the next', async ({ bus }) => {
  const outcomes = await Promise.all([
    kindOf(bus.request('read', fails('timeout'))),
    kindOf(bus.request('read', answers)),
  ]);
  assert.equal(outcomes, ['timeout', 'ok']);
});

const endings: [WireError['kind'], string, number][] = [
  ['exception', 'the device has answered: the connection is good', 1],
  ['timeout', 'one device is silent: others may answer', 1],
  ['garbled', 'what follows would be out of step', 2],
  ['unreachable', 'it is gone', 2],
];
for (const [kind, why, opens] of endings) {
  test(`after ${kind} the connection is ${opens > 1 ? 'opened anew' : 'kept'}: ${why}`, async ({
    bus,
    transport,
  }) => {
    await bus.request('read', answers);
    assert.is(await kindOf(bus.request('read', fails(kind))), kind);
    await bus.request('read', answers);
    assert.equal([transport.opens, transport.closes], [opens, opens - 1]);
  });
}

test('an error that is none of the wire counts as garbled', async ({ bus, transport }) => {
  assert.is(await kindOf(bus.request('read', () => Promise.reject(new Error('bug')))), 'garbled');
  assert.is(transport.closes, 1);
});

test('a connection on which nothing has succeeded for three seconds is opened anew after a timeout', async ({
  bus,
  transport,
  clock,
}) => {
  await bus.request('read', answers);
  await clock.advance(seconds(3));
  await kindOf(bus.request('read', fails('timeout')));
  assert.is(transport.closes, 0);
  await clock.advance(1);
  await kindOf(bus.request('read', fails('timeout')));
  assert.is(transport.closes, 1);
});

test('while it cannot be opened requests fail at once, and it is tried again after 1, 2, 4 … 15 s', async ({
  bus,
  transport,
  clock,
}) => {
  transport.fault = new WireError('unreachable', 'refused');
  const waits: number[] = [];
  for (const wait of [1, 2, 4, 8, 15, 15]) {
    assert.is(await kindOf(bus.request('read', answers)), 'unreachable');
    const tries = transport.opens;
    await clock.advance(seconds(wait) - 1);
    assert.is(await kindOf(bus.request('read', answers)), 'unreachable');
    assert.is(transport.opens, tries, `not within ${wait} s`);
    await clock.advance(1);
    waits.push(wait);
  }
  assert.is(transport.opens, waits.length);
  transport.fault = undefined;
  assert.is(await bus.request('read', answers), 'ok');
});

test('after a success the waits begin anew', async ({ bus, transport, clock }) => {
  transport.fault = new WireError('unreachable', 'refused');
  for (const wait of [1, 2]) {
    await kindOf(bus.request('read', answers));
    await clock.advance(seconds(wait));
  }
  transport.fault = undefined;
  await bus.request('read', answers);
  await kindOf(bus.request('read', fails('garbled')));
  transport.fault = new WireError('unreachable', 'refused');
  await kindOf(bus.request('read', answers));
  await clock.advance(seconds(1));
  transport.fault = undefined;
  assert.is(await bus.request('read', answers), 'ok');
});

test('stopping closes the connection and fails what waits', async ({ bus, transport }) => {
  let release = (): void => {};
  const first = bus.request(
    'read',
    () =>
      new Promise<string>((resolve) => {
        release = () => resolve('ok');
      }),
  );
  const second = kindOf(bus.request('read', answers));
  await new Promise((resolve) => setImmediate(resolve));
  void bus.stop();
  release();
  assert.is(await first, 'ok');
  assert.is(await second, 'unreachable');
  assert.equal([transport.opens, transport.closes], [1, 1]);
});

test('a connection that is lost between two requests is told to who watches, and opened by the next request', async ({
  bus,
  transport,
}) => {
  const told: string[] = [];
  const unwatch = bus.watch({
    opened: () => told.push('opened'),
    lost: (error) => told.push(`${error.kind}: ${error.message}`),
  });
  await bus.request('read', answers);
  transport.lose('the peer closed it');
  await new Promise((resolve) => setImmediate(resolve));
  assert.is(await bus.request('read', answers), 'ok');
  assert.equal(told, ['opened', 'unreachable: the peer closed it', 'opened']);
  assert.equal([transport.opens, transport.closes], [2, 1]);
  unwatch();
});

test.run();
