import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { kinds } from '../../cloud-shim/kube/resource-kind.ts';
import type { Job, JobStatus, NodeTask } from '../../cloud-shim/taskmanager/job.ts';
import type { Program } from '../program.ts';
import { until } from '../program.ts';
import { freePorts, Stack } from '../stack.ts';
import { Gateway } from './gateway.ts';

/** NodeUpgradeJobs from the API server down to the gateway, and what becomes of them. */
const test = suite<{ dir: string; stack: Stack; shim: Program; gateway: Gateway; isDone: boolean }>(
  'jobs of a cluster',
);
const NODE = 'edge-fleet';

test.before(async (context) => {
  const dir = mkdtempSync(join(tmpdir(), 'edgecore-fleet-'));
  const taskManager = {
    enable: true,
    bundleSource: join(dir, 'edgecore-{version}.tar.gz'),
    upgradeKeys: join(dir, 'keys'),
    upgradeWithin: 20,
  };
  const stack = new Stack({
    dir,
    ports: await freePorts(),
    node: NODE,
    cloudModules: { taskManager: { enable: true } },
    modules: { taskManager },
  });
  await stack.startMaster();
  const shim = await stack.startShim();
  const joining = await stack.startEdge();
  await stack.registered();
  await joining.stop();
  const gateway = new Gateway(dir, stack.options.ports.console);
  gateway.run();
  Object.assign(context, { dir, stack, shim, gateway });
});
test.after(async ({ dir, stack, gateway, isDone }) => {
  await gateway?.stop();
  await stack?.stop();
  if (isDone) rmSync(dir, { recursive: true });
});

async function create(stack: Stack, name: string, spec: object): Promise<void> {
  const job = {
    apiVersion: kinds.nodeUpgradeJob.apiVersion,
    kind: 'NodeUpgradeJob',
    metadata: { name },
    spec,
  };
  const answer = await stack.api.create(kinds.nodeUpgradeJob, { name }, job);
  if ('status' in answer) throw new Error(answer.status.message);
}

async function statusOf(stack: Stack, name: string): Promise<JobStatus | undefined> {
  return (await stack.object<Job>(kinds.nodeUpgradeJob, name, ''))?.status;
}

function over(stack: Stack, name: string): Promise<JobStatus> {
  const ended = async (): Promise<JobStatus | undefined> => {
    const status = await statusOf(stack, name);
    return status?.phase === 'Completed' || status?.phase === 'Failure' ? status : undefined;
  };
  return until(`job ${name} is over`, ended, 90_000);
}

function actions(task: NodeTask | undefined): string[] {
  return (task?.actionFlow ?? []).map(({ action, status }) => `${action} ${status}`);
}

test('a job for a version that is nowhere, and one whose version ends at its start, end with the reason', async (context) => {
  const { stack, gateway } = context;
  await create(stack, 'none', { version: 'v9.0.0', nodeNames: [NODE, 'nobody'], failureTolerate: '0.5' });
  const none = await over(stack, 'none');
  assert.is(none.phase, 'Failure');
  assert.match(none.nodeStatus?.[0]?.reason ?? '', /^the upgrade cannot be read: .*edgecore-9\.0\.0/);
  assert.is(none.nodeStatus?.[1]?.reason, 'there is no edge node of that name');
  await gateway.bundle('0.3.0', () => 'process.exit(3)');
  await create(stack, 'bad', { version: 'v0.3.0', nodeNames: [NODE] });
  const bad = await over(stack, 'bad');
  assert.is(bad.phase, 'Failure');
  const [task] = bad.nodeStatus ?? [];
  assert.is(task?.phase, 'Failure');
  assert.match(task?.reason ?? '', /^it ended, or the power went/);
  assert.match(bad.reason ?? '', `1 of 1 nodes failed; ${NODE}: ${task?.reason}`);
  const flow = ['Check True', 'WaitingConfirmation True', 'BackUp True', 'Upgrade False', 'RollBack True'];
  assert.equal(actions(task), flow);
  assert.is(task?.currentVersion, gateway.version);
});

test('a job by labels upgrades the gateway, also when the shim is started anew meanwhile', async (context) => {
  const { stack, gateway } = context;
  await gateway.bundle('0.4.0');
  const labelSelector = { matchLabels: { 'node-role.kubernetes.io/edge': '' } };
  await create(stack, 'good', { version: 'v0.4.0', labelSelector, checkItems: ['disk'] });
  await until('it is under way', async () => {
    return actions((await statusOf(stack, 'good'))?.nodeStatus?.[0]).includes('BackUp True');
  });
  await context.shim.stop();
  context.shim = await stack.startShim();
  const good = await over(stack, 'good');
  const [task] = good.nodeStatus ?? [];
  assert.is(good.phase, 'Completed', JSON.stringify(good));
  assert.equal(actions(task), ['Check True', 'WaitingConfirmation True', 'BackUp True', 'Upgrade True']);
  assert.equal(
    [task?.phase, task?.historicVersion, task?.currentVersion],
    ['Successful', gateway.version, '0.4.0'],
  );
  assert.is(await gateway.running(), '0.4.0');
  context.isDone = true;
});

test.run();
