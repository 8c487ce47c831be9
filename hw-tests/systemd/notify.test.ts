import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { LoneEdge } from '../lone-edge.ts';
import { until } from '../program.ts';
import { requireProgram } from '../real-parts.ts';
import { NotifySocket } from './datagrams.ts';

/** edgecore as systemd starts it, with a socket that takes what systemd would. */
type Context = { dir: string; socket: NotifySocket; edge: LoneEdge; env: NodeJS.ProcessEnv };
const test = suite<Context>('sd_notify');

test.before.each(async (context) => {
  context.dir = mkdtempSync(join(tmpdir(), 'notify-'));
  context.socket = await NotifySocket.open(join(context.dir, 'notify'));
  context.env = { NOTIFY_SOCKET: context.socket.path, WATCHDOG_USEC: '15000000' };
});
test.after.each(async ({ dir, socket, edge }) => {
  await edge?.kill();
  await socket.close();
  rmSync(dir, { recursive: true, force: true });
});

if (requireProgram('gcc', 'gcc') && requireProgram('systemd-notify', 'systemd')) {
  test('it announces the start, serves without a cloud, is fed, and says that it stops', async (context) => {
    const { dir, socket, env } = context;
    context.edge = await LoneEdge.make({ dir, node: 'notify', eventBus: {}, env });
    await context.edge.start();
    await until('READY=1', () => socket.count('READY=1') === 1);
    assert.match(socket.states[0] ?? '', /^EXTEND_TIMEOUT_USEC=\d+$/);
    await until('a status', () => socket.states.some((state) => /^STATUS=cloud \w+, devices 0/.test(state)));
    await until('two feedings', () => socket.count('WATCHDOG=1') >= 2);
    // A process that stands still feeds nothing; systemd would now start it anew.
    process.kill(context.edge.pid, 'SIGSTOP');
    await new Promise((resolve) => setTimeout(resolve, 500)); // what was on its way
    const before = socket.count('WATCHDOG=1');
    // Longer than it is fed in: that nothing comes is what is waited for.
    await new Promise((resolve) => setTimeout(resolve, 6000));
    assert.is(socket.count('WATCHDOG=1'), before);
    process.kill(context.edge.pid, 'SIGCONT');
    const begun = performance.now();
    await context.edge.stop();
    assert.ok(performance.now() - begun < 10_000, 'it stops within ten seconds');
    await until('STOPPING=1', () => socket.count('STOPPING=1') === 1);
  });
}

test.run();
