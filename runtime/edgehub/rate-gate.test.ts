import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { FakeClock } from '../core/fake-clock.ts';
import { Metrics } from '../core/metrics.ts';
import { minutes, seconds } from '../core/units.ts';
import { RateGate } from './rate-gate.ts';

type Context = {
  clock: FakeClock;
  passed: string[];
  held: { now: boolean };
  dropped: { readonly value: number };
  gate: RateGate;
};
const test = suite<Context>('rate-gate');

test.before.each((context) => {
  const clock = new FakeClock();
  const passed: string[] = [];
  const dropped = new Metrics().counter('d', 'd');
  const held = { now: false };
  const pass = ({ text }: { text: string }): void => void passed.push(text);
  const gate = new RateGate({ clock, rate: 10, burst: 3, pass, isHeld: () => held.now, dropped });
  Object.assign(context, { clock, passed, held, dropped, gate });
});
test.after.each(({ gate, clock }) => {
  gate.clear();
  assert.is(clock.pending, 0);
});

const push = (gate: RateGate, from: number, to: number): void => {
  for (let i = from; i <= to; i++) gate.push({ text: String(i) });
};

test('a burst passes at once, the rest at the rate and in order', async ({ gate, passed, clock }) => {
  push(gate, 1, 6);
  assert.equal(passed, ['1', '2', '3']);
  await clock.advance(99);
  assert.is(passed.length, 3);
  await clock.advance(1);
  assert.equal(passed, ['1', '2', '3', '4']);
  await clock.advance(200);
  assert.equal(passed, ['1', '2', '3', '4', '5', '6']);
});

test('who comes later does not overtake who waits', async ({ gate, passed, clock }) => {
  push(gate, 1, 4);
  await clock.advance(50);
  gate.push({ text: '5' });
  assert.equal(passed, ['1', '2', '3']);
  await clock.advance(150);
  assert.equal(passed.slice(3), ['4', '5']);
});

test('what is urgent goes before what waits, at the same rate', async ({ gate, passed, clock }) => {
  push(gate, 1, 5);
  gate.push({ text: 'ack 1', isUrgent: true });
  gate.push({ text: 'ack 2', isUrgent: true });
  assert.is(gate.isIdle, false);
  await clock.advance(400);
  assert.equal(passed, ['1', '2', '3', 'ack 1', 'ack 2', '4', '5']);
});

test('quiet time saves up one burst, not more', async ({ gate, passed, clock }) => {
  push(gate, 1, 3);
  await clock.advance(minutes(1));
  push(gate, 4, 9);
  assert.is(passed.length, 6);
});

test('over a second no more passes than burst and rate allow', async ({ gate, passed, clock }) => {
  push(gate, 1, 100);
  await clock.advance(seconds(1));
  assert.is(passed.length, 13);
});

test('what waits when the connection ends is forgotten', async ({ gate, passed, clock }) => {
  push(gate, 1, 10);
  gate.clear();
  await clock.advance(minutes(1));
  assert.is(passed.length, 3);
  gate.push({ text: 'next' });
  assert.is(passed.at(-1), 'next');
});

test('beyond 1024 that wait the newest are dropped and counted', async ({ gate, passed, dropped, clock }) => {
  push(gate, 1, 3 + 1024 + 5);
  assert.is(dropped.value, 5);
  await clock.advance(minutes(2));
  assert.is(passed.length, 1027);
  assert.is(passed.at(-1), '1027');
});

test('a jump of the wall clock changes nothing', async ({ gate, passed, clock }) => {
  push(gate, 1, 5);
  clock.jump(86_400_000);
  gate.push({ text: '6' });
  assert.is(passed.length, 3);
});

test('while the link has no room everything waits, and goes on in order when it has', async ({
  gate,
  passed,
  held,
  clock,
}) => {
  held.now = true;
  push(gate, 1, 2);
  assert.not(gate.isIdle);
  await clock.advance(seconds(5));
  assert.equal(passed, []);
  held.now = false;
  gate.resume();
  assert.equal(passed, ['1', '2']);
  assert.ok(gate.isIdle);
});

test.run();
