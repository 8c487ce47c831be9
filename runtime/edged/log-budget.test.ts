import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { FakeClock } from '../core/fake-clock.ts';
import { silentLogger } from '../core/log.ts';
import type { CriCall } from '../wire/cri.ts';
import { LogBudget } from './log-budget.ts';
import type { ObservedContainer, ObservedPod } from './observed.ts';

type Context = {
  dir: string;
  folder: string;
  clock: FakeClock;
  reopened: string[];
  runtime: { fails: boolean };
  budget: LogBudget;
  write: (bytes: number) => void;
};
const test = suite<Context>('log budget');

test.before.each((context) => {
  const dir = mkdtempSync(join(tmpdir(), 'logs-'));
  const folder = join(dir, 'default_web_u1', 'app');
  mkdirSync(folder, { recursive: true });
  const clock = new FakeClock();
  const reopened: string[] = [];
  const runtime = { fails: false };
  // The runtime makes a new file, as containerd does.
  const call = (async (method: string, { containerId }: { containerId: string }) => {
    assert.is(method, 'reopenContainerLog');
    if (runtime.fails) throw new Error('no such container');
    reopened.push(containerId);
    writeFileSync(join(folder, '2.log'), '');
    return {};
  }) as unknown as CriCall;
  const budget = new LogBudget({
    call,
    podLogsDir: dir,
    maxSize: 1000,
    maxFiles: 3,
    clock,
    log: silentLogger,
  });
  const write = (bytes: number): void => writeFileSync(join(folder, '2.log'), 'x'.repeat(bytes));
  Object.assign(context, { dir, folder, clock, reopened, runtime, budget, write });
});
test.after.each(({ dir }) => rmSync(dir, { recursive: true }));

const container = (state: ObservedContainer['state']): ObservedContainer =>
  ({ id: 'c1', name: 'app', attempt: 2, state }) as ObservedContainer;
const pod = (state: ObservedContainer['state'] = 'running'): ObservedPod[] => [
  { uid: 'u1', namespace: 'default', name: 'web', sandboxes: [], containers: [container(state)] },
];

test('a log that is too large is put aside; the newest are kept', async ({
  budget,
  clock,
  folder,
  reopened,
  write,
}) => {
  for (let round = 0; round < 5; round++) {
    write(1001 + round);
    await budget.keep(pod());
    await clock.advance(10_000);
  }
  assert.is(reopened.length, 5);
  const names = readdirSync(folder).sort();
  assert.equal(names, ['2.log', '2.log.20260101-000030', '2.log.20260101-000040']);
  assert.is(readFileSync(join(folder, names[2] ?? ''), 'utf8').length, 1005);
});

test('what is small, does not run, or was looked at just now is left alone', async ({
  budget,
  clock,
  folder,
  reopened,
  write,
}) => {
  write(1000);
  await budget.keep(pod());
  write(2000);
  await clock.advance(9000);
  await budget.keep(pod());
  await clock.advance(1000);
  await budget.keep(pod('exited'));
  assert.is(reopened.length, 0);
  assert.equal(readdirSync(folder), ['2.log']);
});

test('a runtime that refuses keeps its file, under its name', async ({
  budget,
  folder,
  runtime,
  reopened,
  clock,
  write,
}) => {
  runtime.fails = true;
  write(2000);
  await budget.keep(pod());
  assert.equal(readdirSync(folder), ['2.log']);
  runtime.fails = false;
  await clock.advance(10_000);
  await budget.keep(pod());
  assert.is(reopened.length, 1);
  assert.ok(existsSync(join(folder, '2.log')));
});

test.run();
