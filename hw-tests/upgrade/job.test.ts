import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { parseDocument } from 'yaml';
import type { ActionReport } from '../../runtime/taskmanager/task.ts';
import { FakeCloud } from '../eventbus/fake-cloud.ts';
import { LoneEdge } from '../lone-edge.ts';
import { until } from '../program.ts';
import { Gateway } from './gateway.ts';

/** NodeUpgradeJobs as CloudCore sends them, to edgecore as it is built. */
const test = suite<{ dir: string; cloud: FakeCloud; gateway: Gateway; isDone: boolean }>('jobs');
const NODE = 'edge-jobs';

test.before(async (context) => {
  const dir = mkdtempSync(join(tmpdir(), 'edgecore-job-'));
  const cloud = new FakeCloud();
  await cloud.start();
  const edge = await LoneEdge.make({ dir, node: NODE, eventBus: {}, cloud: cloud.address });
  await edge.start();
  await cloud.connected(1);
  await edge.stop();
  const gateway = new Gateway(dir, edge.ports.console);
  const config = parseDocument(readFileSync(gateway.config, 'utf8'));
  config.setIn(
    ['modules', 'taskManager'],
    config.createNode({
      enable: true,
      bundleSource: join(dir, 'edgecore-{version}.tar.gz'),
      upgradeKeys: gateway.keysFolder,
      upgradeWithin: 15,
    }),
  );
  writeFileSync(gateway.config, config.toString());
  gateway.run();
  await cloud.connected(2);
  Object.assign(context, { dir, cloud, gateway });
});
test.after(async ({ dir, cloud, gateway, isDone }) => {
  await gateway?.stop();
  await cloud?.stop();
  if (isDone) rmSync(dir, { recursive: true });
});

function send(cloud: FakeCloud, job: string, spec: unknown): void {
  const resource = `operations.kubeedge.io/v1alpha2/nodeupgradejob/${job}/node/${NODE}`;
  cloud.send({ source: 'taskmanager', group: 'taskmanager', operation: 'Check', resource }, spec);
}

/** What was told of a job, action by action. What was sent shortly before a restart is sent once more after it. */
function reports({ messages }: FakeCloud, job: string): string[] {
  return messages
    .filter(
      ({ route }) => route.operation === 'UpdateNodeActionStatus' && route.resource.includes(`/${job}/`),
    )
    .map(({ content }) => {
      const { action, succ, extend, reason } = content as ActionReport;
      return [action, succ, extend, reason].filter((part) => part !== '').join(' ');
    })
    .filter((line, i, all) => all.indexOf(line) === i);
}

test('a job that is to be confirmed waits for that, and its version is kept', async ({ cloud, gateway }) => {
  await gateway.bundle('0.2.0');
  send(cloud, 'up', { version: 'v0.2.0', image: 'kubeedge/installation-package', requireConfirmation: true });
  await until('it waits', () => reports(cloud, 'up').length === 2);
  const { code, out } = await gateway.command(['confirm', '--config', gateway.config]);
  assert.is(code, 0, out);
  await until('it is done', () => reports(cloud, 'up').length === 4, 60_000);
  assert.equal(reports(cloud, 'up'), [
    'Check true',
    'WaitingConfirmation true',
    'BackUp true 0.1.0,0.2.0',
    'Upgrade true 0.1.0,0.2.0',
  ]);
  assert.is(await gateway.running(), '0.2.0');
});

test('a job whose version ends at its start is told the reason and the rollback', async (context) => {
  const { cloud, gateway } = context;
  await gateway.bundle('0.3.0', () => 'process.exit(3)');
  send(cloud, 'bad', { version: 'v0.3.0' });
  await until('it is over', () => reports(cloud, 'bad').length === 5, 60_000);
  assert.match(reports(cloud, 'bad')[3] ?? '', /^Upgrade false 0\.2\.0,0\.3\.0 it ended, or the power went/);
  assert.is(reports(cloud, 'bad')[4], 'RollBack true 0.3.0,0.2.0');
  send(cloud, 'none', { version: 'v9.0.0' });
  await until('it is refused', () => reports(cloud, 'none').length === 1);
  assert.match(
    reports(cloud, 'none')[0] ?? '',
    /^Check false the upgrade cannot be read: .*edgecore-9\.0\.0/,
  );
  context.isDone = true;
});

test.run();
