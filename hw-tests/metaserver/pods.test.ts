import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Containerd, canRunContainers, PAUSE, startContainerd } from '../containerd/containerd.ts';
import { type Kubectl, kubectlPrograms } from '../kubectl.ts';
import { busyboxPod } from '../kubernetes/busybox-pod.ts';
import { type Cluster, startCluster } from '../kubernetes/cluster.ts';
import { until } from '../program.ts';
import { nodeKubectl } from './node-kubectl.ts';

type Context = { cluster: Cluster; containerd: Containerd; node: Kubectl };
const test = suite<Context>('pods on the API of the node');
const program = kubectlPrograms().at(-1);

test.before(async (context) => {
  context.containerd = await startContainerd();
  context.cluster = await startCluster(program ?? '', {
    criEndpoint: context.containerd.endpoint,
    podSandboxImage: PAUSE,
    metaServer: true,
  });
  context.node = nodeKubectl(context.cluster, program ?? '');
  const command = ['sh', '-c', 'echo begun; trap "exit 0" TERM; while :; do sleep 1; done'];
  await context.node.apply(busyboxPod('web', { command }, { nodeName: context.cluster.node }));
});
test.after(async ({ cluster, containerd }) => {
  await cluster.close();
  await containerd.stop();
});

async function post({ cluster }: Context, path: string, body?: unknown): Promise<Record<string, unknown>> {
  const { stack, namespace } = cluster;
  const url = `http://127.0.0.1:${stack.options.ports.api}/api/v1/namespaces/${namespace}/pods/${path}`;
  const response = await fetch(url, {
    method: 'POST',
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return (await response.json()) as Record<string, unknown>;
}

const row = async ({ node }: Context): Promise<string> =>
  (await node.run(['get', 'pods'])).split('\n')[1]?.split(/ +/).slice(0, 4).join(' ') ?? '';

if (canRunContainers() && program) {
  test('a pod that was applied here runs, and its log can be read here', async (context) => {
    await until('it runs', async () => (await row(context)) === 'web 1/1 Running 0');
    assert.is(await context.node.run(['logs', 'web']), 'begun\n');
    assert.match(await context.node.run(['logs', 'web', '--timestamps']), /^\d{4}-\d\d-\d\dT\S+ begun\n$/);
  });

  test('a command runs in it, and without a terminal only', async (context) => {
    assert.equal(await post(context, 'web/exec?command=echo&command=hello'), {
      errMessages: [],
      runOutMessages: 'hello\n',
      runErrMessages: '',
    });
    assert.match(await context.node.refusal(['exec', 'web', '--', 'ls']), /not offered on the node/);
  });

  test('offline its restart is seen by who watches, and its log can be read', async (context) => {
    const { node, cluster } = context;
    await cluster.stack.program('cloud-shim').stop();
    const rows: string[] = [];
    const watch = node.follow(['get', 'pods', '-w'], (line) =>
      rows.push(line.split(/ +/).slice(0, 4).join(' ')),
    );
    try {
      await until('the watch runs', () => rows.includes('web 1/1 Running 0'));
      const done = await post(context, 'restart', ['web']);
      assert.equal(done.errMessages, []);
      await until('it runs again', () => rows.includes('web 1/1 Running 1'));
      assert.is(await node.run(['logs', 'web']), 'begun\n');
    } finally {
      watch.kill();
    }
  });
}

if (canRunContainers()) test.run();
