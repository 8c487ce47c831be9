import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { kinds } from '../../cloud-shim/kube/resource-kind.ts';
import type { Pod } from '../../runtime/core/pod.ts';
import { until } from '../program.ts';
import { freePorts, Stack } from '../stack.ts';
import { type Containerd, canRunContainers, PAUSE, startContainerd } from './containerd.ts';
import { busyboxPod } from './edged.ts';

type Ran = { readonly code: number | null; readonly out: string; readonly err: string };
type Context = { dir: string; stack: Stack; containerd: Containerd };
const NODE = 'edge-cli';
const LIMIT = 30_000;

/** The commands of a gateway, as it is built, against pods that run. */
const test = suite<Context>('commands beside pods');

test.before(async (context) => {
  context.containerd = await startContainerd();
  context.dir = mkdtempSync(join(tmpdir(), 'edgecore-cli-pods-'));
  context.stack = new Stack({
    dir: context.dir,
    ports: await freePorts(),
    node: NODE,
    criEndpoint: context.containerd.endpoint,
    podSandboxImage: PAUSE,
  });
  const { stack } = context;
  await stack.startMaster();
  await stack.startShim();
  await stack.startEdge();
  await stack.registered();
  // To one stream: the runtime reads the two side by side, and keeps no order between them.
  const talk = 'exec >&2; for i in 1 2 3 4 5; do echo line $i; done; echo oops; sleep 1000';
  const fall = 'echo a life begins; if [ -e /state/lived ]; then sleep 1000; fi; touch /state/lived; exit 3';
  await create(stack, busyboxPod('talks', [{ command: ['sh', '-c', talk] }]));
  const volumes = [{ name: 'state', emptyDir: {} }];
  const volumeMounts = [{ name: 'state', mountPath: '/state' }];
  await create(stack, busyboxPod('falls', [{ command: ['sh', '-c', fall], volumeMounts }], { volumes }));
  await create(stack, busyboxPod('two', [{}, {}]));
  await until('all of them run', async () => {
    const pods = await Promise.all(
      ['talks', 'falls', 'two'].map((name) => stack.object<Pod>(kinds.pod, name)),
    );
    const [, falls] = pods;
    const runs = pods.every((pod) => pod?.status?.containerStatuses?.every(({ state }) => state.running));
    return (
      runs && pods.every((pod) => pod?.status) && falls?.status?.containerStatuses?.[0]?.restartCount === 1
    );
  });
});

test.after(async ({ stack, containerd, dir }) => {
  await stack?.stop();
  await containerd?.stop();
  rmSync(dir, { recursive: true, force: true });
});

async function create(stack: Stack, pod: Pod): Promise<void> {
  const { uid: _, ...metadata } = pod.metadata;
  const spec = { ...pod.spec, nodeName: NODE };
  const answer = await stack.api.create(
    kinds.pod,
    { namespace: 'default', name: metadata.name },
    { apiVersion: 'v1', kind: 'Pod', metadata, spec },
  );
  if ('status' in answer) throw new Error(answer.status.message);
}

/** `edgecore ARGS`.
 * @param input what it is given to read; nothing by default
 * @param seen is told of what it has printed so far, and may end it */
function edgecore(
  { stack }: Context,
  args: readonly string[],
  input: string | Buffer = '',
  seen: (out: string, end: () => void) => void = () => {},
): Promise<Ran> {
  const [name = '', ...rest] = args;
  const line = [name, '--config', stack.edgeConfigFile, ...rest];
  return ran('dist/edgecore/edgecore', line, input, seen);
}

function ran(
  command: string,
  args: readonly string[],
  input: string | Buffer,
  seen: (out: string, end: () => void) => void,
): Promise<Ran> {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'], timeout: LIMIT });
  let [out, err] = ['', ''];
  child.stdout.on('data', (piece) => {
    out += piece;
    seen(out, () => child.kill('SIGINT'));
  });
  child.stderr.on('data', (piece) => (err += piece));
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, out, err })));
}

if (canRunContainers()) {
  test('get, describe and check say what runs', async (context) => {
    const { out } = await edgecore(context, ['get', 'pods']);
    assert.match(out, /default +talks +1\/1 +Running +0 +10\./);
    assert.match(out, /default +falls +1\/1 +Running +1 /);
    assert.match(out, /default +two +2\/2 +Running/);
    const described = await edgecore(context, ['describe', 'pod', 'falls']);
    assert.match(described.out, /exitCode: 3/);
    assert.match((await edgecore(context, ['check', 'runtime'])).out, /ok +unix:.* is containerd /);
    assert.match((await edgecore(context, ['get', 'node'])).out, /pods +3/);
  });

  test('logs: the last lines, on and on, and of the life before', async (context) => {
    const all = await edgecore(context, ['logs', 'talks']);
    assert.is(all.code, 0, all.err);
    assert.is(all.out, 'line 1\nline 2\nline 3\nline 4\nline 5\noops\n');
    assert.is((await edgecore(context, ['logs', 'talks', '--tail', '2'])).out, 'line 5\noops\n');
    const stamped = await edgecore(context, ['logs', 'talks', '--tail=1', '--timestamps']);
    assert.match(stamped.out, /^\d{4}-\d\d-\d\dT[\d:.]+(Z|[+-][\d:]+) oops\n$/);
    assert.is((await edgecore(context, ['logs', 'falls', '--previous'])).out, 'a life begins\n');
    let added: Promise<Ran> | undefined;
    const followed = await edgecore(context, ['logs', 'talks', '-f', '--tail', '1'], '', (out, end) => {
      // What is printed after it has begun comes, too; process 1 prints for it.
      if (out.includes('oops'))
        added ??= edgecore(context, ['exec', 'talks', '--', 'sh', '-c', 'echo later > /proc/1/fd/1']);
      if (out.includes('later')) end();
    });
    assert.is((await added)?.code, 0);
    assert.is(followed.out, 'oops\nlater\n');
    await each(
      [
        [['logs', 'nobody'], /pod default\/nobody/],
        [['logs', 'two'], /--container is missing: want one of c0, c1/],
        [['logs', 'talks', '-c', 'none'], /none/],
        [['logs', 'talks', '-p'], /talks/],
      ] as const,
      async ([args, wanted]) => {
        const refused = await edgecore(context, args);
        assert.match(refused.err, wanted);
        assert.is.not(refused.code, 0);
      },
    );
  });

  test('a command ends quietly when nobody reads it any more', async ({ stack }) => {
    const chatter = `-- sh -c 'while echo more; do true; done'`;
    const line = `dist/edgecore/edgecore exec --config ${stack.edgeConfigFile} talks ${chatter} | head -n 1`;
    const { out, err } = await ran('bash', ['-c', line], '', () => {});
    assert.is(out, 'more\n');
    assert.is(err, '');
  });

  test('exec keeps output and errors apart, passes on the input and the status', async (context) => {
    const both = ['exec', 'talks', '--', 'sh', '-c', 'echo out; echo err >&2; exit 7'];
    assert.equal(await edgecore(context, both), { code: 7, out: 'out\n', err: 'err\n' });
    assert.equal(await edgecore(context, ['exec', 'talks', '--', 'cat'], 'not passed on'), {
      code: 0,
      out: '',
      err: '',
    });
    // Longer than a pipe holds, and more than one frame.
    const much = Buffer.alloc(3_000_000, 'edge\n');
    const echoed = await edgecore(context, ['exec', '-i', 'talks', '--', 'cat'], much);
    assert.is(echoed.code, 0, echoed.err);
    assert.is(hash(echoed.out), hash(much));
    assert.is((await edgecore(context, ['exec', '-c', 'c1', 'two', '--', 'echo', '-n', 'hi'])).out, 'hi');
    await each(
      [
        [['exec', 'talks', '--', 'no-such-program'], 1, /cannot be run in the container: .*no-such-program/],
        [['exec', 'two', '--', 'true'], 1, /a container must be named: c[01], c[01]/],
        [['exec', 'nobody', '--', 'true'], 1, /pod default\/nobody/],
        [['exec', 'talks'], 2, /COMMAND… is missing/],
      ] as const,
      async ([args, code, wanted]) => {
        const refused = await edgecore(context, args);
        assert.is(refused.code, code, refused.err);
        assert.match(refused.err, wanted);
      },
    );
  });

  test('exec with a terminal has its size, and one stream; without one here it says so', async ({
    stack,
  }) => {
    // The size comes a moment after the start; until then stty prints nothing, or zeros.
    const asked = 's=$(stty size 2> /tmp/none); [ -n "$s" ] && [ "$s" != "0 0" ]';
    const size = `until ${asked}; do usleep 20000; done; echo $s`;
    const script = `[ -t 0 ] && read x; ${size}; echo got $x >&2; exit 5`;
    const command = `dist/edgecore/edgecore exec --config ${stack.edgeConfigFile} -it talks -- sh -c '${script}'`;
    const line = `stty rows 33 cols 101; ${command}`;
    const { code, out, err } = await ran('script', ['-qec', line, '/dev/null'], 'word\n', () => {});
    assert.is(code, 5, out + err);
    assert.match(out, /got word\r/, out + err);
    assert.match(out, /33 101\r/);
    const without = await edgecore({ stack } as Context, ['exec', '-it', 'talks', '--', 'sh'], '[ -t 0 ]\n');
    assert.match(without.err, /no terminal here/);
    assert.is(without.code, 1);
  });

  test('reset refuses while edgecore runs, then stops and removes all, and says what', async (context) => {
    const { stack, dir } = context;
    assert.match((await edgecore(context, ['reset', '--force'])).err, /edgecore runs as process \d+/);
    await stack.program('edgecore').stop();
    const listed = await edgecore(context, ['reset']);
    assert.match(listed.out, /^would be removed:\n(.*\n)* {2}pod default\/talks\n/);
    const folder = join(dir, 'edgecore');
    const logs = join(folder, 'pod-logs');
    assert.is(readdirSync(logs).length, 3);
    const { code, out, err } = await edgecore(context, ['reset', '--force']);
    assert.is(code, 0, err);
    for (const pod of ['talks', 'falls', 'two'])
      assert.match(out, `pod default/${pod} is stopped and removed\n`);
    assert.match(out, `${stack.edgeConfigFile} is removed\n`);
    assert.match(out, `kubectl delete node ${NODE}`);
    assert.equal(readdirSync(logs), []);
    const left = ['edgecore.db', 'kubelet', 'certs/server.crt'].filter((name) =>
      existsSync(join(folder, name)),
    );
    assert.equal([...left, ...(existsSync(stack.edgeConfigFile) ? ['edgecore.yaml'] : [])], []);
    const again = await ran(
      'ctr',
      ['-a', context.containerd.endpoint.slice(7), '-n', 'k8s.io', 'c', 'ls', '-q'],
      '',
      () => {},
    );
    assert.is(again.out, '');
  });
}

/** All at once: each is a process. */
async function each<T>(cases: readonly T[], check: (one: T) => Promise<void>): Promise<void> {
  await Promise.all(cases.map(check));
}

function hash(bytes: string | Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

test.run();
