import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { CommitWindow } from './commit-window.ts';

const SYNC = 3;

/** Plays publishers against the window: turns time in steps of a millisecond.
 * @param arrivals asked each millisecond how many messages come, told how many were answered since
 * @returns commits in the last `ms` milliseconds, and the longest wait */
function play(arrivals: (now: number, answered: number) => number, ms = 10_000, warmUp = 2000) {
  const window = new CommitWindow();
  let waiting: number[] = [];
  let underWay: { from: number[]; until: number } | undefined;
  let [commits, messages, worst] = [0, 0, 0];
  for (let now = 0; now < warmUp + ms; now++) {
    let answered = 0;
    if (underWay && now >= underWay.until) {
      answered = underWay.from.length;
      for (const at of underWay.from) if (now > warmUp) worst = Math.max(worst, now - at);
      underWay = undefined;
      window.answered(now);
    }
    for (let n = arrivals(now, answered); n > 0; n--) {
      window.arrived(now, 100);
      waiting.push(now);
    }
    const due = window.dueAt;
    if (!underWay && due !== undefined && due <= now) {
      window.taken(now);
      underWay = { from: waiting, until: now + SYNC };
      if (now > warmUp) commits++;
      if (now > warmUp) messages += waiting.length;
      waiting = [];
    }
  }
  const seconds = ms / 1000;
  return { perSecond: commits / seconds, messagesPerSecond: messages / seconds, worst };
}

/** Each client sends its next message `delay` after the last was answered. */
function closedLoop(clients: number, delay: number) {
  const due: number[] = Array.from({ length: clients }, () => 0);
  return (now: number, answered: number): number => {
    for (let i = 0; i < answered; i++) due.push(now + delay);
    let count = 0;
    while ((due[0] ?? Number.POSITIVE_INFINITY) <= now) {
      due.shift();
      count++;
    }
    return count;
  };
}

const every = (period: number) => (now: number) => (now % period === 0 ? 1 : 0);

for (const [rate, period, most] of [
  [50, 20, 5],
  [200, 5, 5],
  [10, 100, 7],
] as const) {
  test(`${rate} messages a second are committed at most ${most} times a second, none waits for 250 ms`, () => {
    const { perSecond, worst } = play(every(period));
    assert.ok(perSecond <= most, `${perSecond}`);
    assert.ok(worst <= 250, `${worst}`);
  });
}

test('what comes seldom is committed at once', () => {
  const { perSecond, worst } = play(every(500));
  assert.is(perSecond, 2);
  assert.ok(worst <= 4 + SYNC, `${worst}`);
});

test('who sends the next message when the last is safe is hardly slowed down', () => {
  const { messagesPerSecond } = play(closedLoop(1, 0));
  assert.ok(messagesPerSecond > 0.85 * (1000 / (4 + SYNC)), `${messagesPerSecond}`);
});

test('nor are ten of them over a slow network', () => {
  const { messagesPerSecond } = play(closedLoop(10, 30));
  assert.ok(messagesPerSecond > 0.7 * (10_000 / (30 + 4 + SYNC)), `${messagesPerSecond}`);
});

test('a flood is committed by count', () => {
  const { worst } = play(() => 20);
  assert.ok(worst < 30, `${worst}`);
});

test('a burst after a rest is let through', () => {
  const window = new CommitWindow();
  for (let i = 0; i < 8; i++) {
    window.arrived(i * 10, 0);
    assert.is(window.dueAt, i * 10 + 4);
    window.taken(i * 10 + 4);
    window.answered(i * 10 + 5);
  }
  window.arrived(80, 0);
  assert.ok((window.dueAt ?? 0) > 90);
});

test.run();
