import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { FakeClock } from '../core/fake-clock.ts';
import { Pace } from './pace.ts';

const newPace = (config: { interval: number; burst: number; messagesPerSecond: number }) => {
  const clock = new FakeClock();
  const pace = new Pace<{ name: string }>({ clock, config });
  const spoken: string[] = [];
  const ask = (device: { name: string }): void => pace.ask(device, () => spoken.push(device.name));
  return { clock, pace, spoken, ask };
};
const device = (name: string): { name: string } => ({ name });

test('a device that was quiet does not wait behind those that change all the time', async () => {
  const { clock, pace, spoken, ask } = newPace({ interval: 10, burst: 4, messagesPerSecond: 1 });
  const busy = ['a', 'b', 'c'].map(device);
  for (const one of busy) for (let i = 0; i < 4; i++) pace.speaksNow(one);
  await clock.advance(10_000);
  for (const one of busy) ask(one);
  ask(device('quiet'));
  await clock.advance(10_000);
  assert.equal(spoken, ['a', 'quiet', 'b', 'c']);
  pace.stop();
  assert.is(clock.pending, 0);
});

test('over an hour a device that always has something to say speaks once in an interval, and its burst', async () => {
  const { clock, spoken, ask } = newPace({ interval: 10, burst: 5, messagesPerSecond: 10 });
  const one = device('one');
  for (let i = 0; i < 3600; i++) {
    ask(one);
    await clock.advance(1000);
  }
  assert.ok(spoken.length >= 360 && spoken.length <= 366, `${spoken.length}`);
});

test('what cannot wait makes no debt', async () => {
  const { clock, pace, spoken, ask } = newPace({ interval: 10, burst: 2, messagesPerSecond: 10 });
  const one = device('one');
  for (let i = 0; i < 100; i++) pace.speaksNow(one);
  ask(one);
  await clock.advance(10_000);
  assert.equal(spoken, ['one']);
});

test('without an interval only the rate of all holds', async () => {
  const { clock, spoken, ask } = newPace({ interval: 0, burst: 1, messagesPerSecond: 10 });
  const one = device('one');
  for (let i = 0; i < 100; i++) {
    ask(one);
    await clock.advance(100);
  }
  assert.ok(spoken.length >= 99, `${spoken.length}`);
});

test.run();
