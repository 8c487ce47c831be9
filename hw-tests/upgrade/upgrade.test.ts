import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { kinds } from '../../cloud-shim/kube/resource-kind.ts';
import type { Condition, Node } from '../../runtime/core/k8s.ts';
import { seededRandom, testSeed } from '../../runtime/core/test-random.ts';
import { until } from '../program.ts';
import { freePorts, Stack } from '../stack.ts';
import { Gateway } from './gateway.ts';
import { newKeys } from './small.ts';

const seed = testSeed();
const random = seededRandom(seed);
const test = suite<{ dir: string; stack: Stack; gateway: Gateway; isDone: boolean }>(
  `upgrades, seed ${seed}`,
);

test.before(async (context) => {
  context.dir = mkdtempSync(join(tmpdir(), 'edgecore-upgrade-'));
  context.stack = await joined(context.dir);
  context.gateway = new Gateway(context.dir, context.stack.options.ports.console);
  context.gateway.run();
  await runs(context.gateway, context.gateway.version);
});
test.after(async ({ dir, gateway, stack, isDone }) => {
  await gateway?.stop();
  await stack?.stop();
  if (isDone) rmSync(dir, { recursive: true });
});

/** A node that has joined, and does not run. */
async function joined(dir: string): Promise<Stack> {
  const stack = new Stack({
    dir,
    ports: await freePorts(),
    node: `edge-upgrade-${process.pid}`,
    criEndpoint: `unix://${dir}/no-containerd.sock`,
  });
  await stack.startMaster();
  await stack.startShim();
  const edge = await stack.startEdge();
  await stack.registered();
  await edge.stop();
  return stack;
}

/** The version runs, and the cloud knows. */
async function runs(gateway: Gateway, version: string): Promise<void> {
  await until(`${version} runs, with a link`, async () => (await gateway.running()) === version);
}

async function told(stack: Stack): Promise<{ version: string; condition: Condition | undefined }> {
  const node = await stack.object<Node>(kinds.node, stack.options.node, '');
  const { nodeInfo, conditions = [] } = node?.status ?? {};
  return {
    version: String(nodeInfo?.kubeletVersion).replace(/.*-edgecore-/, ''),
    condition: conditions.find(({ type }) => type === 'UpgradeKept'),
  };
}

test('commands look at the node that runs, and back it up', async ({ dir, gateway, stack }) => {
  const ask = (...args: string[]) => gateway.command([...args, '--config', gateway.config]);
  const { out } = await ask('get', 'node', '-o', 'json');
  assert.match(out, new RegExp(`"name": "${stack.options.node}"`));
  assert.match(out, /"link": "online to 127\.0\.0\.1:\d+"/);
  assert.match((await ask('get', 'pods')).out, /there are no pods on this node/);
  assert.match((await ask('logs', 'web')).out, /this node has no such thing: pod default\/web\n/);
  assert.match(
    (await ask('check', 'network')).out,
    /^network +ok +127\.0\.0\.1:\d+ \(link\) takes connections/,
  );
  const file = join(dir, 'backup.tar.gz');
  assert.is((await ask('backup', file)).code, 0);
  assert.match((await ask('restore', file)).out, /edgecore runs as process \d+: stop it first/);
  await gateway.stop();
  assert.match((await ask('restore', file)).out, /restored/);
  gateway.run();
  await runs(gateway, gateway.version);
  assert.match((await ask('get', 'node')).out, /^name +edge-upgrade-/);
});

test('a bundle that somebody else has signed is refused, and nothing happens', async ({ gateway }) => {
  const { starts } = gateway;
  const { code, out } = await gateway.upgrade(await gateway.bundle('0.2.0', undefined, newKeys().private));
  assert.is(code, 1);
  assert.match(
    out,
    /not signed by anybody who is trusted here: no key in .* has signed this bundle\n.*Nothing was changed/s,
  );
  assert.is(gateway.starts, starts);
  assert.is(await gateway.running(), gateway.version);
});

test('a good version is tried, kept, and told to the cloud', async ({ gateway, stack }) => {
  const { code, out } = await gateway.upgrade(await gateway.bundle('0.2.0'));
  assert.is(code, 0, out);
  assert.match(out, /0\.2\.0 is kept; `edgecore rollback` goes back to 0\.1\.0/);
  await runs(gateway, '0.2.0');
  await until('the node says so', async () => {
    const { version, condition } = await told(stack);
    return version === '0.2.0' && condition?.status === 'True';
  });
  await gateway.stop();
  gateway.run();
  await runs(gateway, '0.2.0');
});

test('a version that ends at its start is left by itself, with the reason', async ({ gateway, stack }) => {
  const { code, out } = await gateway.upgrade(await gateway.bundle('0.3.0', () => 'process.exit(3)'));
  assert.is(code, 1);
  assert.match(out, /0\.3\.0 was given up for 0\.2\.0: it ended, or the power went, before it was confirmed/);
  await runs(gateway, '0.2.0');
  await until('the node says so', async () => (await told(stack)).condition?.reason === 'RolledBack');
});

test('a version that does not reach the cloud is left when its time is over', async ({ gateway }) => {
  const deaf = await gateway.bundle('0.3.1', (text) =>
    text.replaceAll('`wss://$' + '{server}', '`wss://127.0.0.1:9'),
  );
  const { code, out } = await gateway.upgrade(deaf, '--within', '15');
  assert.is(code, 1);
  assert.match(out, /0\.3\.1 was given up for 0\.2\.0: after 15 s there is no link to the cloud/);
  await runs(gateway, '0.2.0');
  assert.match((await gateway.state()).outcome?.reason ?? '', /no link/);
});

test('a version that cannot start says why', async ({ gateway }) => {
  const strange = await gateway.bundle('0.3.2', (text) =>
    text.replace('SELECT key, type, value FROM meta', 'SELEKT key FROM meta'),
  );
  const { out } = await gateway.upgrade(strange);
  assert.match(out, /0\.3\.2 was given up for 0\.2\.0: it could not start: .*SELEKT/);
  await runs(gateway, '0.2.0');
});

test('a version that hangs is ended from outside', async ({ gateway }) => {
  await gateway.stop();
  const bundle = await gateway.bundle(
    '0.3.3',
    () => 'for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1e6)',
  );
  const { out } = await gateway.upgrade(bundle);
  assert.match(out, /edgecore does not run: the next start tries the new version/);
  writeFileSync(join(gateway.slots, 'patience'), '2\n'); // instead of 210
  gateway.run();
  await runs(gateway, '0.2.0');
  assert.match(
    (await gateway.state()).outcome?.reason ?? '',
    /did not show that it is well within 2 s and was ended/,
  );
});

test('the upgrade killed at any moment leaves the version in use as it is, and can be done again', async ({
  gateway,
}) => {
  const bundle = await gateway.bundle('0.4.0');
  const args = ['upgrade', bundle, '--keys', gateway.keysFolder, '--config', gateway.config, '--no-wait'];
  const { starts } = gateway;
  const kills = 8;
  let killed = 0;
  // Ever later: the whole command takes about 700 ms here, and the first one must not get through.
  for (let i = 0; i < kills && gateway.starts === starts; i++) {
    const delay = 50 + ((i + random()) / kills) * 800;
    const { code } = await gateway.command(args, (kill) => setTimeout(kill, delay));
    if (code === null) killed++;
    // One that was killed late has edgecore stop already, to try the new version.
    await until(
      '0.2.0 runs on, or another version starts',
      async () => gateway.starts !== starts || (await gateway.running()) === '0.2.0',
    );
  }
  assert.ok(killed > 0, `${killed} were killed`);
  // What the last one armed may be tried by now, or kept.
  const { trial, version } = await gateway.state();
  if (trial || version !== '0.2.0') await gateway.command(['rollback', '--config', gateway.config]);
  await runs(gateway, '0.2.0');
});

test('edgecore killed on trial is the version before again; the next attempt succeeds', async ({
  gateway,
}) => {
  const bundle = await gateway.bundle('0.5.0');
  await gateway.upgrade(bundle, '--no-wait');
  await runs(gateway, '0.5.0');
  process.kill(gateway.pid, 'SIGKILL');
  await runs(gateway, '0.2.0');
  const { outcome } = await gateway.state();
  assert.is(outcome?.result, 'rolled back');
  const { out } = await gateway.upgrade(bundle);
  assert.match(out, /0\.5\.0 is kept/);
});

test('rollback goes back to the version before, and stays there', async (context) => {
  const { gateway, stack } = context;
  const { out } = await gateway.command(['rollback', '--config', gateway.config, '--reason', 'too loud']);
  assert.match(out, /0\.5\.0 is given up for 0\.2\.0, which is being started/);
  await runs(gateway, '0.2.0');
  await until('the reason is told', async () => (await told(stack)).condition?.message?.includes('too loud'));
  context.isDone = true;
});

test.run();
