import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Containerd, canRunContainers, PAUSE, startContainerd } from '../containerd/containerd.ts';
import { Kubectl, kubectlPrograms } from '../kubectl.ts';
import { until } from '../program.ts';
import { busyboxPod } from './busybox-pod.ts';
import { type Cluster, startCluster } from './cluster.ts';

type Context = { cluster: Cluster; containerd: Containerd };
const test = suite<Context>('pods through Kubernetes');
const [kubectlProgram] = kubectlPrograms();

test.before(async (context) => {
  context.containerd = await startContainerd();
  context.cluster = await startCluster(kubectlProgram ?? '', {
    criEndpoint: context.containerd.endpoint,
    podSandboxImage: PAUSE,
  });
});

test.after(async ({ cluster, containerd }) => {
  await cluster.close();
  await containerd.stop();
});

const here = ({ cluster }: Context) => ({ nodeSelector: { 'kubernetes.io/hostname': cluster.node } });

function pod({ cluster }: Context, name: string, path: string, wanted: string | RegExp): Promise<string> {
  return until(`${path} of pod ${name} is ${wanted}`, async () => {
    const value = await cluster.kubectl.value(['pod', name], path);
    return (typeof wanted === 'string' ? value === wanted : wanted.test(value)) ? value : undefined;
  });
}

function gone({ cluster }: Context, name: string): Promise<true> {
  return until(`pod ${name} is gone`, async () => {
    const { status, stderr } = await cluster.kubectl.try(['get', 'pod', name]);
    return status !== 0 && stderr.includes('NotFound') ? true : undefined;
  });
}

const ready = '{.status.conditions[?(@.type=="Ready")].status}';

if (canRunContainers() && kubectlProgram) {
  test('the node is Ready, with its labels, its address and its runtime', async ({ cluster }) => {
    const { kubectl, node } = cluster;
    await kubectl.run(['wait', '--for=condition=Ready', `node/${node}`, '--timeout=30s']);
    const row = await kubectl.run(['get', 'node', node, '-o', 'wide', '--no-headers']);
    assert.match(row, /Ready +agent,edge .*containerd:\/\//);
  });

  test('a pod without nodeName is bound, runs, and is gone when it is deleted', async (context) => {
    const { kubectl, node } = context.cluster;
    await kubectl.apply(busyboxPod('plain', {}, here(context)));
    await pod(context, 'plain', '{.status.phase}', 'Running');
    await pod(context, 'plain', ready, 'True');
    await pod(context, 'plain', '{.status.podIP}', /^10\./);
    assert.is(await kubectl.value(['pod', 'plain'], '{.spec.nodeName}'), node);
    assert.match(
      await kubectl.run(['get', 'pod', 'plain', '--no-headers']),
      /^plain +1\/1 +Running +0 +\d+s/,
    );
    assert.match(await kubectl.run(['describe', 'pod', 'plain']), /Container ID: +containerd:\/\//);
    await kubectl.run(['delete', 'pod', 'plain', '--wait=true', '--timeout=30s']);
    await gone(context, 'plain');
  });

  test('configMap and secret reach it as files and environment, and a change of the files arrives', async (context) => {
    const { kubectl } = context.cluster;
    await kubectl.run(['create', 'configmap', 'settings', '--from-literal=colour=green']);
    await kubectl.run(['create', 'secret', 'generic', 'keys', '--from-literal=key=s3cret']);
    const container = {
      command: [
        'sh',
        '-c',
        'echo $COLOUR $KEY; cat /keys/key; while sleep 0.2; do cat /conf/colour; echo; done',
      ],
      env: [
        { name: 'COLOUR', valueFrom: { configMapKeyRef: { name: 'settings', key: 'colour' } } },
        { name: 'KEY', valueFrom: { secretKeyRef: { name: 'keys', key: 'key' } } },
      ],
      volumeMounts: [
        { name: 'conf', mountPath: '/conf' },
        { name: 'keys', mountPath: '/keys' },
      ],
    };
    const volumes = [
      { name: 'conf', configMap: { name: 'settings' } },
      { name: 'keys', secret: { secretName: 'keys' } },
    ];
    await kubectl.apply(busyboxPod('configured', container, { ...here(context), volumes }));
    await pod(context, 'configured', '{.status.phase}', 'Running');
    const log = (): Promise<string> => kubectl.run(['logs', 'configured']);
    await until('the first values', async () => (await log()).startsWith('green s3cret\ns3cretgreen\n'));
    await kubectl.run(['patch', 'configmap', 'settings', '-p', '{"data":{"colour":"blue"}}']);
    await until('the changed file', async () => (await log()).includes('\nblue\n'));
    await kubectl.run(['delete', 'pod', 'configured', '--timeout=30s']);
  });

  test('every kubectl reads logs; they are cut, followed, and those of the previous container', async (context) => {
    const { cluster } = context;
    const { kubectl, namespace } = cluster;
    const script = 'for i in 1 2 3; do echo line $i; done; sleep 1; exit 7';
    await kubectl.apply(busyboxPod('talker', { command: ['sh', '-c', script] }, here(context)));
    await pod(context, 'talker', '{.status.containerStatuses[0].restartCount}', /^[1-9]/);
    assert.match(await kubectl.run(['logs', 'talker', '-f', '--timestamps']), /^\d{4}-.*Z line 1\n/);
    assert.is(
      await kubectl.value(['pod', 'talker'], '{.status.containerStatuses[0].lastState.terminated.exitCode}'),
      '7',
    );
    await Promise.all(
      kubectlPrograms().map(async (program) => {
        const other = new Kubectl({ program, kubeconfig: cluster.stack.kubeconfig, namespace });
        assert.is(await other.run(['logs', 'talker', '--tail=1', '--previous']), 'line 3\n', program);
      }),
    );
    const { status, stderr } = await kubectl.try(['logs', 'talker', '-c', 'nope']);
    assert.is.not(status, 0);
    assert.match(stderr, /nope/);
    await kubectl.run(['delete', 'pod', 'talker', '--timeout=30s']);
  });

  test('kubectl get -w shows each step of a pod that ends', async (context) => {
    const { kubectl } = context.cluster;
    const lines: string[] = [];
    const watch = kubectl.follow(
      ['get', 'pods', '-w', '--field-selector', 'metadata.name=ender', '--no-headers'],
      (line) => lines.push(line),
    );
    try {
      const spec = { ...here(context), restartPolicy: 'Never' };
      await kubectl.apply(busyboxPod('ender', { command: ['sleep', '0.5'] }, spec));
      await until('Completed', () => lines.some((line) => /0\/1 +Completed/.test(line)));
      assert.ok(lines.some((line) => /1\/1 +Running/.test(line)));
    } finally {
      watch.kill();
    }
    await kubectl.run(['delete', 'pod', 'ender', '--timeout=30s']);
  });

  test('an image that is nowhere, and a volume that cannot be served, are told as events', async (context) => {
    const { kubectl } = context.cluster;
    const image = { image: 'localhost/nothing:1', imagePullPolicy: 'Never' };
    await kubectl.apply(busyboxPod('imageless', image, here(context)));
    await pod(
      context,
      'imageless',
      '{.status.containerStatuses[0].state.waiting.reason}',
      'ErrImageNeverPull',
    );
    const volumes = [{ name: 'disk', nfs: { server: 'nowhere', path: '/' } }];
    const mounts = { volumeMounts: [{ name: 'disk', mountPath: '/disk' }] };
    await kubectl.apply(busyboxPod('nfs', mounts, { ...here(context), volumes }));
    await until('the event', async () => {
      const { stdout } = await kubectl.try(['events', '--for', 'pod/nfs', '--types=Warning', '--no-headers']);
      return /nfs/.test(stdout);
    });
    await kubectl.run(['delete', 'pod', 'imageless', 'nfs', '--timeout=30s']);
  });

  test('a pod that nothing fits stays Pending with the reason', async ({ cluster }) => {
    const { kubectl } = cluster;
    await kubectl.apply(busyboxPod('homeless', {}, { nodeSelector: { shape: 'no-such' } }));
    await until('the condition', async () =>
      /affinity|selector/.test(
        await kubectl.value(['pod', 'homeless'], '{.status.conditions[?(@.type=="PodScheduled")].message}'),
      ),
    );
    await kubectl.run(['delete', 'pod', 'homeless', '--timeout=30s']);
  });
}

if (canRunContainers()) test.run();
