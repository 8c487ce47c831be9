import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { serviceManager } from './service-manager.ts';

type Run = { states: readonly string[]; env: NodeJS.ProcessEnv; done: () => void };
const test = suite('service manager');
const PID = 42;

function manager(env: NodeJS.ProcessEnv) {
  const runs: Run[] = [];
  const resets: NodeJS.ProcessEnv[] = [];
  const run = (states: readonly string[], of: NodeJS.ProcessEnv): Promise<void> =>
    new Promise((done) => runs.push({ states, env: of, done }));
  const reset = async (of: NodeJS.ProcessEnv): Promise<void> => void resets.push(of);
  return { runs, resets, of: serviceManager({ env, pid: PID, run, reset }) };
}

test('without systemd nobody is told anything', async () => {
  const { of, runs, resets } = manager({ WATCHDOG_USEC: '60000000' });
  await of.tell('READY=1');
  await of.forgive();
  assert.is(runs.length + resets.length, 0);
  assert.is(of.watchdog, undefined);
});

test('what systemd has set is used, and not handed on to other programs', async () => {
  const env: NodeJS.ProcessEnv = {
    PATH: '/usr/bin',
    NOTIFY_SOCKET: '/run/systemd/notify',
    WATCHDOG_USEC: '60000000',
    WATCHDOG_PID: String(PID),
  };
  const { of, runs } = manager(env);
  assert.equal(env, { PATH: '/usr/bin' });
  assert.is(of.watchdog, 60_000);
  void of.tell('READY=1');
  await Promise.resolve();
  assert.equal(runs[0]?.env, { PATH: '/usr/bin', NOTIFY_SOCKET: '/run/systemd/notify' });
});

test('a watchdog of another process is not ours', () => {
  const { of } = manager({ NOTIFY_SOCKET: '/n', WATCHDOG_USEC: '1000000', WATCHDOG_PID: '7' });
  assert.is(of.watchdog, undefined);
});

test('systemd is asked to forget the restarts, and whoever asks has no socket to speak by', async () => {
  const { of, resets } = manager({ PATH: '/usr/bin', NOTIFY_SOCKET: '/n' });
  await of.forgive();
  assert.equal(resets, [{ PATH: '/usr/bin' }]);
});

test('states are told in order, one at a time, each on one line', async () => {
  const { of, runs } = manager({ NOTIFY_SOCKET: '/n' });
  void of.tell('READY=1', 'STATUS=a\nSTOPPING=1');
  const last = of.tell('STOPPING=1');
  await Promise.resolve();
  assert.is(runs.length, 1);
  assert.equal(runs[0]?.states, ['READY=1', 'STATUS=a STOPPING=1']);
  runs[0]?.done();
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(runs[1]?.states, ['STOPPING=1']);
  runs[1]?.done();
  await last;
});

test.run();
