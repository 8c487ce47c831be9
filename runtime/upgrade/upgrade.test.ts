import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { FakeClock } from '../core/fake-clock.ts';
import { silentLogger } from '../core/log.ts';
import { seconds } from '../core/units.ts';
import { missingIn, type Vitals } from './gate.ts';
import { compareVersions } from './manifest.ts';
import type { Outcome, SlotAdapter, SlotState, TrialRequest } from './slots.ts';
import { Upgrade } from './upgrade.ts';

const request: TrialRequest = {
  version: '2.0.0',
  from: '1.0.0',
  at: 'then',
  within: 60,
  needsLink: true,
  needsRuntime: true,
  pods: ['default/web', 'default/gone'],
};
const well: Vitals = {
  storeFault: undefined,
  linkUp: true,
  linkFault: 'online',
  runtimeFault: undefined,
  pods: new Map([['default/web', true]]),
};

/** Slots in memory: of a bootloader, say. */
class Partitions implements SlotAdapter {
  trial: SlotState['trial'] = { slot: 'b', phase: 'running' };
  outcome: Outcome | undefined;

  async state(): Promise<SlotState> {
    return { current: 'a', previous: undefined, trial: this.trial, request, outcome: this.outcome };
  }

  async setTrial(): Promise<void> {}

  async confirm(): Promise<Outcome> {
    return this.end('confirmed', '');
  }

  async rollback(reason: string): Promise<Outcome> {
    return this.end('rolled back', reason);
  }

  async recover(): Promise<Outcome | undefined> {
    return this.trial && this.end('rolled back', 'it ended');
  }

  private end(result: Outcome['result'], reason: string): Outcome {
    this.trial = undefined;
    this.outcome = { slot: 'b', version: '2.0.0', from: '1.0.0', result, reason, at: 'now', asked: 'then' };
    return this.outcome;
  }
}

type Context = {
  clock: FakeClock;
  slots: Partitions;
  vitals: Vitals;
  restarts: string[];
  begin(own?: string): Promise<Upgrade>;
  pass(of: number): Promise<void>;
};
const test = suite<Context>('an upgrade, as the new version sees it');

test.before.each((context) => {
  const clock = new FakeClock();
  const slots = new Partitions();
  const restarts: string[] = [];
  Object.assign(context, { clock, slots, restarts, vitals: well });
  context.begin = async (own = 'b') => {
    const upgrade = new Upgrade({
      places: [{ slots, own, leave: (reason) => restarts.push(reason) }],
      clock,
      log: silentLogger,
      vitals: () => context.vitals,
      changed: () => {},
    });
    await upgrade.start();
    return upgrade;
  };
  context.pass = async (of) => {
    for (let second = 0; second < of; second++) {
      await clock.advance(seconds(1));
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
});

test('it is kept once it has been well for ten seconds', async ({ begin, pass, slots, restarts }) => {
  const upgrade = await begin();
  await pass(10);
  assert.is(slots.outcome, undefined);
  await pass(2);
  assert.is(slots.outcome?.result, 'confirmed');
  assert.is(upgrade.condition?.status, 'True');
  assert.equal(restarts, []);
});

test('it gives up when its time is over, and says what was missing', async (context) => {
  context.vitals = { ...well, linkUp: false, linkFault: 'connection refused' };
  const upgrade = await context.begin();
  await context.pass(59);
  assert.equal(context.restarts, []);
  await context.pass(2);
  assert.equal(context.restarts, ['after 60 s there is no link to the cloud: connection refused']);
  assert.is(context.slots.outcome?.result, 'rolled back');
  assert.match(upgrade.condition?.message ?? '', /2\.0\.0 was given up for 1\.0\.0: after 60 s/);
  await context.pass(100);
  assert.is(context.restarts.length, 1);
});

test('a moment of health is not enough', async (context) => {
  await context.begin();
  for (let i = 0; i < 12; i++) {
    context.vitals = i % 2 ? well : { ...well, storeFault: 'disk full' };
    await context.pass(5);
  }
  await context.pass(1);
  assert.is(context.slots.outcome?.result, 'rolled back');
});

test('what was decided by hand meanwhile stands', async ({ begin, pass, slots, restarts }) => {
  await begin();
  await pass(5);
  await slots.confirm();
  await pass(100);
  assert.is(slots.outcome?.result, 'confirmed');
  assert.equal(restarts, []);
});

test('the version before notes that a trial has ended by itself', async ({ begin }) => {
  const upgrade = await begin('a');
  assert.is(upgrade.condition?.reason, 'RolledBack');
});

test('modules that cannot start end the trial', async ({ begin, slots }) => {
  const upgrade = await begin();
  await upgrade.failed('the address is in use');
  assert.is(slots.outcome?.reason, 'it could not start: the address is in use');
  await upgrade.failed('once more');
  assert.is(slots.outcome?.reason, 'it could not start: the address is in use');
});

test('only what was there before is asked of a new version', () => {
  const ill: Vitals = {
    storeFault: 'read-only',
    linkUp: false,
    linkFault: 'refused',
    runtimeFault: 'no containerd',
    pods: new Map([['default/web', false]]),
  };
  assert.is(missingIn(ill, request).length, 4);
  const modest = { ...request, needsLink: false, needsRuntime: false, pods: [] };
  assert.equal(missingIn(ill, modest), ['the store cannot be written: read-only']);
  assert.equal(missingIn(well, request), []);
});

test('versions are ordered as people read them', () => {
  const order = ['0.9.9', '1.0.0-rc.1', '1.0.0-rc.2', '1.0.0-rc.10', '1.0.0', '1.0.1', '1.10.0', '2.0.0'];
  const shuffled = [...order].reverse().sort(compareVersions);
  assert.equal(shuffled, order);
  assert.is(compareVersions('1.0.0', '1.0.0'), 0);
});

test.run();
