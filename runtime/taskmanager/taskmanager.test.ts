import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import * as v from 'valibot';
import { FakeClock } from '../core/fake-clock.ts';
import { silentLogger } from '../core/log.ts';
import { type MessageDraft, newMessage } from '../core/message.ts';
import { seconds } from '../core/units.ts';
import { taskManagerConfig } from './config.ts';
import type { ActionReport } from './task.ts';
import { TaskManager, type TaskManagerDeps, type UpgradeOutcome, type Upgrader } from './taskmanager.ts';

const BASE = 'operations.kubeedge.io/v1alpha2';

/** Versions come and go without a disk. */
class FakeUpgrader implements Upgrader {
  readonly version = '1.0.0';
  outcome: UpgradeOutcome | undefined;
  isAllowed = false;
  isWaiting = false;
  readonly installed: string[] = [];
  readonly begun: string[] = [];
  fault = '';
  private asked = '';
  private listener: (outcome: UpgradeOutcome) => void = () => {};

  async install(source: string, version: string): Promise<string> {
    if (this.fault) throw new Error(this.fault);
    this.installed.push(source);
    return `${version}-00000000`;
  }

  async begin(slot: string, _version: string, asked: string): Promise<void> {
    this.begun.push(slot);
    this.asked = asked;
  }

  onOutcome(listener: (outcome: UpgradeOutcome) => void): void {
    this.listener = listener;
  }

  async takeConfirmation(): Promise<boolean> {
    return this.isAllowed;
  }

  async wait(isWaiting: boolean): Promise<void> {
    this.isWaiting = isWaiting;
  }

  end(result: UpgradeOutcome['result'], reason = ''): void {
    this.outcome = { version: '2.0.0', from: '1.0.0', result, reason, asked: this.asked };
    this.listener(this.outcome);
  }
}

type Context = {
  clock: FakeClock;
  upgrader: FakeUpgrader;
  reports: (ActionReport & { resource: string })[];
  rows: Map<string, string>;
  pulls: string[];
  shortage: string | undefined;
  begin(config?: Record<string, unknown>): Promise<TaskManager>;
  ask(tasks: TaskManager, kind: string, spec: unknown): Promise<void>;
};
const test = suite<Context>('jobs of the cloud');
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test.before.each((context) => {
  const upgrader = new FakeUpgrader();
  const clock = new FakeClock();
  Object.assign(context, { clock, upgrader, reports: [], rows: new Map(), pulls: [], shortage: undefined });
  context.begin = async (config = {}) => {
    const { rows } = context;
    const deps: TaskManagerDeps = {
      config: v.parse(taskManagerConfig, {
        enable: true,
        bundleSource: 'https://u/e-{version}-{platform}.tgz',
        ...config,
      }),
      clock,
      log: silentLogger,
      store: {
        durable: async (work) => work(),
        meta: {
          put: ({ key, value }) => rows.set(key, value),
          list: () => [...rows].map(([key, value]) => ({ key, value })),
          remove: (key) => rows.delete(key),
        },
      },
      outbox: {
        put: async (_subject, { resource, content, operation, source, group }: MessageDraft) => {
          assert.equal([operation, source, group], ['UpdateNodeActionStatus', 'websocket', 'hub']);
          context.reports.push({ ...(content as ActionReport), resource });
        },
      },
      upgrader,
      shortage: () => context.shortage,
      pull: async (image) => {
        context.pulls.push(image);
        if (image.startsWith('bad')) throw new Error('no such image');
      },
    };
    const tasks = new TaskManager(deps);
    await tasks.start();
    return tasks;
  };
  context.ask = async (tasks, kind, content) => {
    const resource = `${BASE}/${kind}/j1/node/edge-1`;
    tasks.handle(
      newMessage({ source: 'taskmanager', group: 'taskmanager', operation: 'Check', resource, content }, 0),
    );
    await settle();
  };
});

const actions = ({ reports }: Context): string[] => reports.map(({ action, succ }) => `${action} ${succ}`);

test('a version is fetched, tried after a restart, and told when it is kept', async (context) => {
  const { begin, ask, upgrader, reports, rows } = context;
  await ask(await begin(), 'nodeupgradejob', { version: 'v2.0.0', image: 'kubeedge/installation-package' });
  assert.equal(actions(context), ['Check true', 'WaitingConfirmation true', 'BackUp true']);
  assert.equal(upgrader.installed, [`https://u/e-2.0.0-${process.platform}-${process.arch}.tgz`]);
  assert.equal(upgrader.begun, ['2.0.0-00000000']);
  // The next process runs the new version, and decides.
  await begin();
  upgrader.end('confirmed');
  await settle();
  assert.is(actions(context).at(-1), 'Upgrade true');
  assert.is(reports.at(-1)?.extend, '1.0.0,2.0.0');
  assert.is(reports.at(-1)?.resource, `${BASE}/nodeupgradejob/j1/node/edge-1`);
  assert.match(reports.at(-1)?.finishTime ?? '', /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  assert.is(rows.size, 0);
});

test('a version that was given up is told with its reason, and the rollback after it, once', async (context) => {
  const { begin, ask, upgrader, reports } = context;
  await ask(await begin(), 'nodeupgradejob', { version: 'v2.0.0' });
  upgrader.end('rolled back', 'no link');
  await settle();
  assert.equal(actions(context).slice(-2), ['Upgrade false', 'RollBack true']);
  assert.is(reports.at(-2)?.reason, 'no link');
  assert.is(reports.at(-1)?.extend, '2.0.0,1.0.0');
  await begin();
  await settle();
  assert.is(reports.length, 5);
});

test('an upgrade that wants to be confirmed waits, also over a restart', async (context) => {
  const { begin, ask, upgrader, clock } = context;
  await ask(await begin(), 'nodeupgradejob', { version: 'v2.0.0', requireConfirmation: true });
  assert.equal(actions(context), ['Check true', 'WaitingConfirmation true']);
  assert.ok(upgrader.isWaiting);
  upgrader.isWaiting = false;
  await begin();
  assert.ok(upgrader.isWaiting);
  await clock.advance(seconds(60));
  assert.equal(upgrader.begun, []);
  upgrader.isAllowed = true;
  await clock.advance(seconds(2));
  await settle();
  assert.equal(upgrader.begun, ['2.0.0-00000000']);
  assert.not.ok(upgrader.isWaiting);
});

test('a job that the cloud sends again while it waits, or is tried, is not begun anew', async (context) => {
  const { begin, ask, upgrader } = context;
  const spec = { version: 'v2.0.0' };
  await ask(await begin(), 'nodeupgradejob', spec);
  // The version on trial hears of it once more.
  await ask(await begin(), 'nodeupgradejob', spec);
  assert.equal(actions(context), ['Check true', 'WaitingConfirmation true', 'BackUp true']);
  assert.is(upgrader.begun.length, 1);
});

for (const [what, config, spec, wanted] of [
  ['that is switched off', { enable: false }, { version: 'v2.0.0' }, /taskManager\.enable is false/],
  ['without a source', { bundleSource: '' }, { version: 'v2.0.0' }, /bundleSource says nothing/],
  ['without a version', {}, { version: 'latest' }, /spec\.version latest is none: want vX\.Y\.Z/],
  ['of a bundle that is refused', {}, { version: 'v6.6.6' }, /nobody has signed it/],
] as const) {
  test(`a job ${what} fails in its check, with the reason`, async (context) => {
    context.upgrader.fault = 'nobody has signed it';
    await context.ask(await context.begin(config), 'nodeupgradejob', spec);
    assert.equal(actions(context), ['Check false']);
    assert.match(context.reports[0]?.reason ?? '', wanted);
  });
}

test('a machine that is short of something says so', async (context) => {
  context.shortage = 'disk is used to 91 %';
  const tasks = await context.begin();
  await context.ask(tasks, 'nodeupgradejob', { version: 'v2.0.0', checkItems: ['disk'] });
  await context.ask(tasks, 'imageprepulljob', {
    imagePrePullTemplate: { images: ['a'], checkItems: ['disk'] },
  });
  assert.equal(actions(context), ['Check false', 'Check false']);
  assert.equal(context.pulls, []);
});

test('images are fetched ahead, each tried as often as asked', async (context) => {
  const imagePrePullTemplate = { images: ['web:1', 'bad:1'], retryTimes: 2 };
  await context.ask(await context.begin(), 'imageprepulljob', { imagePrePullTemplate });
  assert.equal(context.pulls, ['web:1', 'bad:1', 'bad:1', 'bad:1']);
  assert.equal(actions(context), ['Check true', 'Pull false']);
  assert.equal(JSON.parse(context.reports[1]?.extend ?? ''), [
    { image: 'web:1', status: 'True' },
    { image: 'bad:1', status: 'False', reason: 'no such image' },
  ]);
});

test('a job that is not offered is refused', async (context) => {
  await context.ask(await context.begin(), 'configupdatejob', {});
  assert.match(context.reports[0]?.reason ?? '', /configupdatejob is not offered/);
});

test.run();
