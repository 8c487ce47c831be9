import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { FakeClock } from '../../../runtime/core/fake-clock.ts';
import { deviceId, millis } from '../../../runtime/core/units.ts';
import { LONGEST_VALUE, MOST_ENTRIES, type Report } from '../messages.ts';
import { ReportOutbox } from './report-outbox.ts';

const test = suite<{ sent: Report[]; outbox: ReportOutbox; clock: FakeClock }>('what a worker has to report');
const id = deviceId('default', 'oven');

test.before.each((context) => {
  context.sent = [];
  context.clock = new FakeClock();
  context.outbox = new ReportOutbox((report) => context.sent.push(report), context.clock);
});

function read(outbox: ReportOutbox, property: string, value: string): void {
  outbox.reportDeviceStatus(id, [{ property, value, at: millis(0) }]);
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('what is said in one turn goes together', async ({ sent, outbox }) => {
  outbox.reportDeviceState(id, 'online');
  read(outbox, 't', '1');
  outbox.reportWrites(id, [{ property: 's', desired: '2' }]);
  await turn();
  assert.equal(sent, [
    {
      readings: [{ id, property: 't', value: '1' }],
      states: [{ id, state: 'online', reason: '' }],
      writes: [{ id, property: 's', desired: '2' }],
      pushes: [],
      dropped: 0,
    },
  ]);
});

test('of what is pushed every value counts, with its age', async ({ sent, outbox, clock }) => {
  const push = (value: string): void => outbox.push(id, [{ property: 't', value, at: millis(0) }]);
  push('1');
  await turn();
  push('2');
  await clock.advance(30);
  push('3');
  outbox.noted();
  await turn();
  assert.equal(
    sent.flatMap(({ pushes }) => pushes).map(({ value, age }) => [value, age]),
    [
      ['1', 0],
      ['2', 30],
      ['3', 0],
    ],
  );
});

test('until a report has been taken the newest of each property waits', async ({ sent, outbox }) => {
  read(outbox, 't', '0');
  await turn();
  for (let i = 1; i < 100_000; i++) read(outbox, i % 2 ? 't' : 'u', String(i));
  await turn();
  assert.is(sent.length, 1);
  outbox.noted();
  await turn();
  assert.equal(sent[1]?.readings, [
    { id, property: 't', value: '99999' },
    { id, property: 'u', value: '99998' },
  ]);
});

test('a report is no longer than agreed, the rest follows', async ({ sent, outbox }) => {
  for (let i = 0; i < MOST_ENTRIES + 5; i++) read(outbox, `p${i}`, '1');
  await turn();
  outbox.noted();
  await turn();
  assert.equal(
    sent.map(({ readings }) => readings.length),
    [MOST_ENTRIES, 5],
  );
});

test('more properties than a gateway has, and values that are too long, are counted and dropped', async ({
  sent,
  outbox,
}) => {
  for (let i = 0; i < 5000; i++) read(outbox, `p${i}`, '1');
  read(outbox, 'long', 'x'.repeat(LONGEST_VALUE + 1));
  await turn();
  assert.is(sent[0]?.dropped, 5000 - 4096 + 1);
});

test('a device that has gone leaves nothing behind', async ({ sent, outbox }) => {
  read(outbox, 't', '1');
  outbox.reportDeviceState(id, 'online');
  outbox.forget(id);
  await turn();
  assert.equal(sent, []);
});

test.run();
