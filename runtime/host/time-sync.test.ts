import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { FakeClock } from '../core/fake-clock.ts';
import { type Ask, askTime, TimeSync } from './time-sync.ts';

const test = suite('time servers');
const MINUTE = 60_000;
/** As chrony 4 prints it, but for the last column. */
const tracking = (leap: string): string =>
  `A29FC87B,162.159.200.123,4,1767225600.1,0.000012,-0.000003,0.00002,1.2,0.01,0.03,0.01,0.001,64.3,${leap}\n`;

/** Programs that are there, and what they print. */
const having =
  (programs: Readonly<Record<string, string>>): Ask =>
  async (program) => {
    const text = programs[program];
    if (text === undefined) throw new Error(`spawn ${program} ENOENT`);
    return text;
  };
const timesyncd = (is: boolean | undefined) => ({ timesyncd: () => is });

for (const [what, file, programs, is, by] of [
  ['timesyncd, by its file', true, { timedatectl: 'no\n' }, true, 'systemd-timesyncd'],
  ['the kernel', undefined, { timedatectl: 'yes\n' }, true, 'the kernel (timedatectl)'],
  [
    'the kernel, of a clock that nobody steers',
    false,
    { timedatectl: 'no\n' },
    false,
    'the kernel (timedatectl)',
  ],
  ['chrony without systemd', undefined, { chronyc: tracking('Normal') }, true, 'chronyd'],
  ['chrony before a leap second', undefined, { chronyc: tracking('Insert second') }, true, 'chronyd'],
  ['chrony that has found no server', undefined, { chronyc: tracking('Not synchronised') }, false, 'chronyd'],
  ['ntpd', undefined, { ntpq: 'leap=00\n' }, true, 'ntpd'],
  ['ntpd that has found no server', undefined, { ntpq: 'leap=11\n' }, false, 'ntpd'],
  ['a chrony that does not run beside an ntpd', undefined, { chronyc: '', ntpq: 'leap=00' }, true, 'ntpd'],
  ['timesyncd that has reached none, without timedatectl', false, {}, false, 'systemd-timesyncd'],
  ['nobody', undefined, { timedatectl: 'n/a', ntpq: 'No association ID’s returned' }, undefined, ''],
] as const) {
  test(`${what} is believed`, async () => {
    assert.equal(await askTime(timesyncd(file), having(programs)), { is, by });
  });
}

test('it is asked every minute until the clock follows a server, then rarely', async () => {
  const clock = new FakeClock();
  let asked = 0;
  let answer = 'no';
  const ask: Ask = async () => {
    asked++;
    return answer;
  };
  const sync = new TimeSync({ sensors: timesyncd(undefined), ask, clock });
  assert.is(sync.isSynchronised, undefined);
  await sync.start();
  await clock.advance(0);
  assert.equal([sync.isSynchronised, asked], [false, 1]);
  answer = 'yes';
  await clock.advance(MINUTE);
  assert.equal([sync.isSynchronised, asked], [true, 2]);
  answer = 'no';
  await clock.advance(9 * MINUTE);
  assert.equal([sync.isSynchronised, asked], [true, 2]);
  await clock.advance(MINUTE);
  assert.equal([sync.isSynchronised, asked], [false, 3]);
  await sync.stop();
  assert.is(clock.pending, 0);
});

test('where timesyncd tells by its file, no program is run', async () => {
  const clock = new FakeClock();
  const ask: Ask = () => Promise.reject(new Error('asked'));
  let isReached = true;
  const sync = new TimeSync({ sensors: { timesyncd: () => isReached }, ask, clock });
  await sync.start();
  await clock.advance(MINUTE);
  assert.is(sync.isSynchronised, true);
  isReached = false;
  assert.is(sync.isSynchronised, false);
  await sync.stop();
});

test.run();
