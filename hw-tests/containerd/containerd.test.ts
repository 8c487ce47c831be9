import { existsSync, readdirSync } from 'node:fs';
import { get } from 'node:http';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Pod } from '../../runtime/core/pod.ts';
import type { Edged } from '../../runtime/edged/edged.ts';
import { connectCri } from '../../runtime/wire/cri.ts';
import { until } from '../program.ts';
import { type Containerd, canRunContainers, startContainerd } from './containerd.ts';
import { busyboxPod, makeEdged, nodeFolders, RecordingCluster } from './edged.ts';

type Context = {
  containerd: Containerd;
  cluster: RecordingCluster;
  edged: Edged;
  folders: ReturnType<typeof nodeFolders>;
};

const pods = suite<Context>('pods on containerd');

pods.before(async (context) => {
  context.containerd = await startContainerd();
});

pods.after(async ({ containerd }) => {
  await containerd.stop();
});

pods.before.each(async (context) => {
  context.cluster = new RecordingCluster();
  context.folders = nodeFolders();
  context.edged = makeEdged(context.cluster, context.containerd.endpoint, context.folders);
  await context.edged.start();
  context.edged.online(true);
});

pods.after.each(async ({ edged, cluster, folders, containerd }) => {
  for (const { ref } of [...edged.pods()]) edged.removePod(ref);
  await cluster.until('all pods are gone', () => [...edged.pods()].length === 0).catch(() => {});
  await edged.stop();
  folders.remove();
  await removeAllPods(containerd);
});

async function removeAllPods({ endpoint }: Containerd): Promise<void> {
  const cri = connectCri(endpoint);
  for (const { id } of (await cri.call('listPodSandbox', {})).items) {
    await cri.call('stopPodSandbox', { podSandboxId: id });
    await cri.call('removePodSandbox', { podSandboxId: id });
  }
  cri.close();
}

function idOf(cluster: RecordingCluster, name: string): string | undefined {
  return cluster.statuses.get(name)?.containerStatuses?.[0]?.containerID;
}

function fetchText(url: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = get(url, { timeout: 10_000 }, (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => {
        text += chunk;
      });
      response.on('end', () => resolve(text));
    });
    request.on('timeout', () => request.destroy(new Error(`no answer from ${url}`)));
    request.on('error', reject);
  });
}

function logUrl(edged: Edged, pod: string, query = ''): string {
  return `http://127.0.0.1:${edged.kubeletPort}/containerLogs/default/${pod}/c0${query}`;
}

pods(
  'a log that grows without end is put aside, and goes on in a new file',
  async ({ edged, cluster, folders }) => {
    const chatty = 'i=0; while true; do i=$((i+1)); echo "line $i $(printf %0500d 0)"; usleep 1000; done';
    const pod = busyboxPod('chatty', [{ command: ['sh', '-c', chatty] }]);
    edged.applyPod(pod);
    await cluster.phase('chatty', 'Running');
    const folder = join(folders.logs, `default_chatty_${pod.metadata.uid}`, 'c0');
    const seen = new Set<string>();
    const aside = (): string[] => readdirSync(folder).filter((name) => name.startsWith('0.log.'));
    await until(
      'it is put aside twice',
      () => {
        for (const name of aside()) seen.add(name);
        return seen.size >= 2;
      },
      60_000,
    );
    assert.is(aside().length, 1, 'only the newest is kept');
    const first = Number(/^line (\d+)/.exec(await fetchText(logUrl(edged, 'chatty')))?.[1]);
    assert.ok(first > 1, `the new file begins with line ${first}`);
  },
);

pods('a pod runs, with an address, and says so', async ({ edged, cluster }) => {
  edged.applyPod(busyboxPod('plain', [{}]));
  await cluster.phase('plain', 'Running');
  const status = cluster.statuses.get('plain');
  assert.match(status?.podIP ?? '', /^10\./);
  assert.is(status?.conditions?.find((c) => c.type === 'Ready')?.status, 'True');
  assert.ok(status?.containerStatuses?.[0]?.state.running);
});

pods(
  'environment, configuration, secrets and shared directories reach the containers',
  async ({ edged, cluster }) => {
    cluster.objects.set('default/configmap/conf', {
      metadata: { name: 'conf' },
      data: { colour: 'green', 'a.txt': 'A' },
    });
    cluster.objects.set('default/secret/keys', {
      metadata: { name: 'keys' },
      data: { key: Buffer.from('s3cret').toString('base64') },
    });
    const script =
      'echo $COLOUR $KEY $GREETING $NODE; cat /conf/a.txt; echo; cat /keys/key; echo; cat /token/token; echo; echo shared > /shared/x; ls -d /host/proc';
    edged.applyPod(
      busyboxPod(
        'configured',
        [
          {
            command: ['sh', '-c', script],
            env: [
              { name: 'COLOUR', valueFrom: { configMapKeyRef: { name: 'conf', key: 'colour' } } },
              { name: 'KEY', valueFrom: { secretKeyRef: { name: 'keys', key: 'key' } } },
              { name: 'GREETING', value: 'hello-$(COLOUR)' },
              { name: 'NODE', valueFrom: { fieldRef: { fieldPath: 'spec.nodeName' } } },
            ],
            volumeMounts: [
              { name: 'conf', mountPath: '/conf' },
              { name: 'keys', mountPath: '/keys' },
              { name: 'token', mountPath: '/token' },
              { name: 'shared', mountPath: '/shared' },
              { name: 'host', mountPath: '/host', readOnly: true },
            ],
          },
        ],
        {
          restartPolicy: 'Never',
          volumes: [
            { name: 'conf', configMap: { name: 'conf' } },
            { name: 'keys', secret: { secretName: 'keys' } },
            { name: 'token', projected: { sources: [{ serviceAccountToken: { path: 'token' } }] } },
            { name: 'shared', emptyDir: {} },
            { name: 'host', hostPath: { path: '/', type: 'Directory' } },
          ],
        },
      ),
    );
    await cluster.phase('configured', 'Succeeded');
    const lines = (await fetchText(logUrl(edged, 'configured'))).trim().split('\n');
    assert.equal(lines, ['green s3cret hello-green edge-test', 'A', 's3cret', 'a-token', '/host/proc']);
  },
);

pods(
  'init containers run first, one after the other; containers share the network',
  async ({ edged, cluster }) => {
    const mount = { volumeMounts: [{ name: 'd', mountPath: '/d' }] };
    const pod = busyboxPod(
      'several',
      [
        { command: ['sh', '-c', 'cat /d/order > /d/page; httpd -f -p 8080 -h /d'], ...mount },
        { command: ['sh', '-c', 'until wget -q -O - localhost:8080/page; do sleep 0.1; done; sleep 1000'] },
      ],
      {
        volumes: [{ name: 'd', emptyDir: {} }],
        initContainers: ['one', 'two'].map((word) => ({
          name: word,
          image: 'localhost/busybox:test',
          command: ['sh', '-c', `sleep 0.2; echo ${word} >> /d/order`],
          ...mount,
        })),
      },
    );
    edged.applyPod(pod);
    await cluster.phase('several', 'Running');
    const url = `http://127.0.0.1:${edged.kubeletPort}/containerLogs/default/several/c1?follow=true&limitBytes=8`;
    assert.is(await fetchText(url), 'one\ntwo\n');
  },
);

pods('a container that ends is started again, and waits longer each time', async ({ edged, cluster }) => {
  edged.applyPod(
    busyboxPod('crashing', [{ command: ['sh', '-c', 'echo oops > /dev/termination-log; exit 3'] }]),
  );
  await cluster.until('it waits in a back-off', () => {
    return (
      cluster.statuses.get('crashing')?.containerStatuses?.[0]?.state.waiting?.reason === 'CrashLoopBackOff'
    );
  });
  const status = cluster.statuses.get('crashing')?.containerStatuses?.[0];
  assert.is(status?.restartCount, 1);
  assert.is(status?.lastState.terminated?.exitCode, 3);
  assert.is(status?.lastState.terminated?.message, 'oops\n');
  assert.ok(cluster.events.some((e) => e.reason === 'BackOff'));
});

pods('a pod that may not be restarted ends as it ended', async ({ edged, cluster }) => {
  edged.applyPod(busyboxPod('good', [{ command: ['true'] }], { restartPolicy: 'Never' }));
  edged.applyPod(busyboxPod('bad', [{ command: ['false'] }], { restartPolicy: 'Never' }));
  await cluster.phase('good', 'Succeeded');
  await cluster.phase('bad', 'Failed');
  assert.is(cluster.statuses.get('bad')?.containerStatuses?.[0]?.restartCount, 0);
});

pods(
  'a failing liveness probe restarts, a failing readiness probe only says so',
  async ({ edged, cluster }) => {
    const never = { exec: { command: ['false'] }, periodSeconds: 1, failureThreshold: 1 };
    edged.applyPod(busyboxPod('unwell', [{ livenessProbe: never }, { readinessProbe: never }]));
    await cluster.until('the first was restarted', () => {
      return (cluster.statuses.get('unwell')?.containerStatuses?.[0]?.restartCount ?? 0) > 0;
    });
    const [, second] = cluster.statuses.get('unwell')?.containerStatuses ?? [];
    assert.is(second?.ready, false);
    assert.is(second?.restartCount, 0);
  },
);

pods(
  'a missing configMap holds the pod with its name, and it starts when the configMap comes',
  async ({ edged, cluster }) => {
    const env = [{ name: 'X', valueFrom: { configMapKeyRef: { name: 'late', key: 'x' } } }];
    edged.applyPod(busyboxPod('waiting', [{ env }]));
    const waiting = () => cluster.statuses.get('waiting')?.containerStatuses?.[0]?.state.waiting;
    await cluster.until(
      'it says what is missing',
      () => waiting()?.message?.includes('default/configmap/late') === true,
    );
    assert.is(waiting()?.reason, 'CreateContainerConfigError');
    cluster.objects.set('default/configmap/late', { metadata: { name: 'late' }, data: { x: '1' } });
    edged.configMapChanged('default');
    await cluster.phase('waiting', 'Running');
  },
);

pods('an image that is nowhere is named', async ({ edged, cluster }) => {
  edged.applyPod(busyboxPod('imageless', [{ image: 'localhost/nothing:1', imagePullPolicy: 'Never' }]));
  await cluster.until('it says so', () => {
    const waiting = cluster.statuses.get('imageless')?.containerStatuses?.[0]?.state.waiting;
    return (
      waiting?.reason === 'ErrImageNeverPull' && waiting.message?.includes('localhost/nothing:1') === true
    );
  });
});

pods(
  'after a restart of the agent the same container runs on, also when the cluster is away',
  async (context) => {
    const { edged, cluster, folders, containerd } = context;
    const pod = busyboxPod('kept', [{}]);
    edged.applyPod(pod);
    await cluster.phase('kept', 'Running');
    const before = idOf(cluster, 'kept');
    await edged.stop();
    const later = new RecordingCluster();
    later.stored.push(pod);
    context.cluster = later;
    context.edged = makeEdged(later, containerd.endpoint, folders);
    await context.edged.start();
    await later.phase('kept', 'Running');
    assert.is(idOf(later, 'kept'), before);
    assert.is(later.statuses.get('kept')?.containerStatuses?.[0]?.restartCount, 0);
  },
);

pods('a deleted pod leaves nothing behind', async ({ edged, cluster, folders, containerd }) => {
  const pod = busyboxPod('deleted', [{}], { volumes: [{ name: 'd', emptyDir: {} }] });
  edged.applyPod(pod);
  await cluster.phase('deleted', 'Running');
  const deleting: Pod = {
    ...pod,
    metadata: { ...pod.metadata, deletionTimestamp: '2026-01-01T00:00:00Z', deletionGracePeriodSeconds: 0 },
  };
  edged.applyPod(deleting);
  await cluster.until('its end is told', () => cluster.terminated.length === 1);
  assert.is(cluster.terminated[0]?.uid, pod.metadata.uid);
  const cri = connectCri(containerd.endpoint);
  assert.equal((await cri.call('listPodSandbox', {})).items, []);
  assert.equal((await cri.call('listContainers', {})).containers, []);
  cri.close();
  assert.equal(readdirSync(join(folders.root, 'pods')), []);
  assert.equal(existsSync(folders.logs) ? readdirSync(folders.logs) : [], []);
});

pods('five pods at once all run', async ({ edged, cluster }) => {
  const names = ['p1', 'p2', 'p3', 'p4', 'p5'];
  for (const name of names) edged.applyPod(busyboxPod(name, [{}]));
  for (const name of names) await cluster.phase(name, 'Running');
});

pods('logs are cut and followed as asked', async ({ edged, cluster }) => {
  edged.applyPod(
    busyboxPod(
      'talker',
      [{ command: ['sh', '-c', 'for i in 1 2 3 4 5; do echo line $i; done; sleep 0.5; echo end'] }],
      {
        restartPolicy: 'Never',
      },
    ),
  );
  await cluster.until('it has run', () => idOf(cluster, 'talker') !== undefined);
  assert.match(await fetchText(logUrl(edged, 'talker', '?follow=true')), /line 1\n(.|\n)*line 5\nend\n$/);
  assert.is(await fetchText(logUrl(edged, 'talker', '?tailLines=2')), 'line 5\nend\n');
  assert.match(
    await fetchText(logUrl(edged, 'talker', '?tailLines=1&timestamps=true')),
    /^\d{4}-\d\d-\d\dT[^ ]+ end\n$/,
  );
  assert.match(
    await fetchText(`http://127.0.0.1:${edged.kubeletPort}/containerLogs/default/talker/nope`),
    /there is no container nope/,
  );
});

if (canRunContainers()) pods.run();

const without = suite('without a container runtime');

without('the node says so, pods get the reason, and they can be deleted', async () => {
  const cluster = new RecordingCluster();
  const folders = nodeFolders();
  const edged = makeEdged(cluster, 'unix:///nowhere/containerd.sock', folders);
  try {
    await edged.start();
    edged.online(true);
    const pod = busyboxPod('stuck', [{}]);
    edged.applyPod(pod);
    await cluster.until('the node says so', () => cluster.patches.length > 0);
    const ready = cluster.patches[0]?.status.conditions.find((c) => c.type === 'ContainerRuntimeReady');
    assert.is(ready?.status, 'False');
    assert.match(ready?.message ?? '', /nowhere\/containerd\.sock/);
    await cluster.until('the pod says so', () => cluster.statuses.has('stuck'));
    const waiting = cluster.statuses.get('stuck')?.containerStatuses?.[0]?.state.waiting;
    assert.is(waiting?.reason, 'ContainerRuntimeNotReady');
    assert.match(waiting?.message ?? '', /nowhere\/containerd\.sock/);
    assert.ok(cluster.events.some((e) => e.type === 'Warning'));
    edged.applyPod({ ...pod, metadata: { ...pod.metadata, deletionTimestamp: '2026-01-01T00:00:00Z' } });
    await cluster.until('its end is told', () => cluster.terminated.length === 1);
  } finally {
    await edged.stop();
    folders.remove();
  }
});

without('a pod that cannot be understood is refused with an event and a status', async () => {
  const cluster = new RecordingCluster();
  const folders = nodeFolders();
  const edged = makeEdged(cluster, 'unix:///nowhere/containerd.sock', folders);
  try {
    await edged.start();
    const broken = {
      metadata: { name: 'broken', namespace: 'default', uid: 'u1' },
      spec: { containers: [{ name: 'x' }] },
    };
    edged.applyPod(broken as unknown as Pod);
    assert.is(cluster.statuses.get('broken')?.phase, 'Failed');
    assert.match(cluster.statuses.get('broken')?.message ?? '', /spec\.containers\[0\]\.image/);
    assert.is(cluster.events[0]?.type, 'Warning');
  } finally {
    await edged.stop();
    folders.remove();
  }
});

without.run();
