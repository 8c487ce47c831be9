import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { FakeClock } from '../core/fake-clock.ts';
import { seconds } from '../core/units.ts';
import { Unanswered } from './unanswered.ts';

type Context = {
  clock: FakeClock;
  unanswered: Unanswered;
  sent: string[];
  link: { takes: boolean; writes: boolean; answers: boolean };
  probes: (() => void)[];
  send: (id: string) => boolean;
};
const test = suite<Context>('unanswered');

test.before.each((context) => {
  const clock = new FakeClock();
  const sent: string[] = [];
  const link = { takes: true, writes: true, answers: true };
  const probes: (() => void)[] = [];
  const probe = (answered: () => void): void => {
    if (link.answers) answered();
    else probes.push(answered);
  };
  const unanswered = new Unanswered({ clock, probe });
  const send = (id: string): boolean =>
    unanswered.start(id, (handed) => {
      if (!link.takes) return false;
      sent.push(id);
      if (link.writes) handed();
      return true;
    });
  Object.assign(context, { clock, unanswered, sent, link, probes, send });
});
test.after.each(({ unanswered, clock }) => {
  unanswered.clear();
  assert.is(clock.pending, 0, 'no timer is left');
});

test('what is not answered is sent again after 0.5, 0.5, 1, 1, 2, 2, 4 … s', async ({
  clock,
  sent,
  send,
}) => {
  assert.ok(send('a'));
  const times: number[] = [];
  const start = clock.monotonic();
  for (let last = sent.length; clock.monotonic() - start < 20_000; ) {
    await clock.advance(250);
    if (sent.length > last) times.push(clock.monotonic() - start);
    last = sent.length;
  }
  assert.equal(times, [500, 1000, 2000, 3000, 5000, 7000, 11_000, 15_000]);
});

test('what is settled is not', async ({ clock, unanswered, sent, send }) => {
  send('a');
  send('b');
  unanswered.settled('a');
  await clock.advance(500);
  assert.equal(sent, ['a', 'b', 'b']);
});

test('its time runs from when it was written, not from when it was made', async ({
  clock,
  sent,
  link,
  send,
}) => {
  link.writes = false;
  send('a');
  await clock.advance(seconds(60));
  assert.equal(sent, ['a']);
});

test('while the link is still busy with what went before it is not sent again', async ({
  clock,
  unanswered,
  sent,
  link,
  probes,
  send,
}) => {
  link.answers = false;
  send('a');
  send('b');
  await clock.advance(seconds(30));
  assert.is(probes.length, 1, 'one ping for both');
  unanswered.settled('a');
  probes[0]?.();
  assert.equal(sent, ['a', 'b', 'b']);
});

test('one whose turn came with a connection that ended is not sent on the next', async ({
  clock,
  unanswered,
  sent,
  link,
  probes,
  send,
}) => {
  link.answers = false;
  send('a');
  await clock.advance(500);
  unanswered.clear();
  send('a');
  probes[0]?.();
  assert.equal(sent, ['a', 'a']);
});

test('a link without room is asked again after a second; at the first time it says so', async ({
  clock,
  sent,
  link,
  send,
}) => {
  send('a');
  link.takes = false;
  assert.not(send('b'));
  await clock.advance(500);
  assert.equal(sent, ['a']);
  link.takes = true;
  await clock.advance(1000);
  assert.equal(sent, ['a', 'a']);
});

test.run();
