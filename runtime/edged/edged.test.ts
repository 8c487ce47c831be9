import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import * as v from 'valibot';
import { EdgeError } from '../core/errors.ts';
import { FakeClock } from '../core/fake-clock.ts';
import { silentLogger } from '../core/log.ts';
import { Metrics } from '../core/metrics.ts';
import type { Pod, PodRef, PodSpec, PodStatus } from '../core/pod.ts';
import { minutes, seconds } from '../core/units.ts';
import { edgedConfig } from './config.ts';
import { Edged } from './edged.ts';
import { TestRuntime } from './test-runtime.ts';

type Context = {
  dir: string;
  clock: FakeClock;
  runtime: TestRuntime;
  kept: Pod[];
  statuses: PodStatus[];
  ended: PodRef[];
  events: string[];
  configMaps: Map<string, Record<string, string>>;
  make: () => Edged;
  edged: Edged;
};
const test = suite<Context>('edged');

test.before.each(async (context) => {
  const dir = mkdtempSync(join(tmpdir(), 'edged-'));
  const clock = new FakeClock();
  const runtime = new TestRuntime(clock);
  const kept: Pod[] = [];
  const statuses: PodStatus[] = [];
  const ended: PodRef[] = [];
  const events: string[] = [];
  const configMaps: Context['configMaps'] = new Map();
  const make = (): Edged =>
    new Edged({
      config: v.parse(edgedConfig, {
        hostnameOverride: 'edge-1',
        nodeIP: '192.0.2.1',
        rootDirectory: join(dir, 'kubelet'),
        tailoredKubeletConfig: { readOnlyPort: 0, podLogsDir: join(dir, 'logs') },
      }),
      version: '0.1.0',
      cluster: {
        pods: () => kept,
        podStatus: (_pod, status) => statuses.push(status),
        podTerminated: (pod) => ended.push(pod),
        event: ({ reason, involvedObject }) => events.push(`${reason} ${involvedObject.name}`),
        registerNode: async (node) => node,
        patchNodeStatus: async () => {},
        renewLease: async () => {},
        configMap: async (_namespace, name) => {
          const data = configMaps.get(name);
          if (!data) throw new EdgeError('OBJECT_NOT_FOUND', { detail: name });
          return { metadata: { name }, data };
        },
        secret: () => Promise.reject(new EdgeError('OBJECT_NOT_FOUND')),
        serviceAccountToken: () => Promise.reject(new EdgeError('LINK_OFFLINE')),
      },
      cri: runtime,
      clock,
      log: silentLogger,
      metrics: new Metrics(),
      store: { health: () => ({}), onChange: () => () => {} },
    });
  const edged = make();
  await edged.start();
  Object.assign(context, { dir, clock, runtime, kept, statuses, ended, events, configMaps, make, edged });
});
test.after.each(async ({ edged, clock, dir }) => {
  await edged.stop();
  await clock.advance(0);
  assert.is(clock.pending, 0, 'no timer is left');
  rmSync(dir, { recursive: true });
});

const podOf = (spec: Partial<PodSpec> = {}, metadata: Partial<Pod['metadata']> = {}): Pod => ({
  metadata: { name: 'web', namespace: 'shop', uid: 'u1', ...metadata },
  spec: { containers: [{ name: 'app', image: 'app:1' }], ...spec },
});
const ref: PodRef = { namespace: 'shop', name: 'web', uid: 'u1' };
const stateOf = (status: PodStatus | undefined): unknown => {
  const [container] = status?.containerStatuses ?? [];
  const { waiting, running, terminated } = container?.state ?? {};
  return [status?.phase, waiting?.reason ?? terminated?.reason ?? (running ? 'running' : '')];
};

test('a pod gets its sandbox, its image and its container, and is told to run', async ({
  edged,
  runtime,
  statuses,
  clock,
}) => {
  edged.applyPod(podOf());
  await clock.advance(seconds(1));
  assert.equal(runtime.done, ['sandbox', 'start app#0']);
  assert.ok(runtime.images.has('app:1'));
  const status = statuses.at(-1);
  assert.equal(stateOf(status), ['Running', 'running']);
  assert.equal([status?.podIP, status?.hostIP], ['10.0.0.7', '192.0.2.1']);
});

test('an unchanged status is told once', async ({ edged, statuses, clock }) => {
  edged.applyPod(podOf());
  await clock.advance(seconds(5));
  const told = statuses.length;
  edged.applyPod(podOf());
  await clock.advance(minutes(5));
  assert.is(statuses.length, told);
});

test('a container that crashes restarts at once, then after 10 s and 20 s', async ({
  edged,
  runtime,
  statuses,
  clock,
}) => {
  edged.applyPod(podOf());
  await clock.advance(seconds(2));
  runtime.exit('app', 1);
  await clock.advance(seconds(2));
  assert.is(runtime.done.at(-1), 'start app#1');
  for (const [attempt, wait] of [
    [2, 10],
    [3, 20],
  ] as const) {
    runtime.exit('app', 1);
    await clock.advance(seconds(wait) - 1);
    assert.equal(stateOf(statuses.at(-1)), ['Running', 'CrashLoopBackOff']);
    assert.is(runtime.done.at(-1), `start app#${attempt - 1}`);
    await clock.advance(seconds(2));
    assert.is(runtime.done.at(-1), `start app#${attempt}`);
  }
  assert.is(statuses.at(-1)?.containerStatuses?.[0]?.restartCount, 3);
});

test('a job that succeeds is told so, and never starts again', async ({
  edged,
  runtime,
  statuses,
  clock,
}) => {
  edged.applyPod(podOf({ restartPolicy: 'Never' }));
  await clock.advance(seconds(2));
  runtime.exit('app', 0);
  await clock.advance(minutes(10));
  assert.equal(stateOf(statuses.at(-1)), ['Succeeded', 'Completed']);
  assert.equal(runtime.done, ['sandbox', 'start app#0']);
});

test('a deletion stops the containers, tells the last status, then that the pod has ended', async ({
  edged,
  runtime,
  statuses,
  ended,
  clock,
  dir,
}) => {
  edged.applyPod(podOf());
  await clock.advance(seconds(2));
  const logs = join(dir, 'logs', 'shop_web_u1');
  mkdirSync(logs, { recursive: true });
  edged.applyPod(podOf({}, { deletionTimestamp: '2026-01-01T00:00:10Z', deletionGracePeriodSeconds: 7 }));
  await clock.advance(seconds(1));
  assert.is(runtime.done.at(-1), 'stop app#0 7');
  assert.equal(stateOf(statuses.at(-1)), ['Succeeded', 'Completed']);
  assert.equal(ended, [ref]);
  assert.equal([runtime.list(), runtime.sandboxCount], [[], 0]);
  assert.equal([existsSync(join(dir, 'kubelet', 'pods', 'u1')), existsSync(logs)], [false, false]);
});

test('remains that the runtime does not give up hold a deletion up for three tries, and are removed when they can be', async ({
  edged,
  runtime,
  ended,
  clock,
}) => {
  edged.online(true);
  edged.applyPod(podOf());
  await clock.advance(seconds(2));
  runtime.removalFault = 'cannot delete running task';
  edged.applyPod(podOf({}, { deletionTimestamp: '2026-01-01T00:00:10Z', deletionGracePeriodSeconds: 7 }));
  await clock.advance(seconds(5));
  assert.equal(ended, []);
  await clock.advance(seconds(20));
  assert.equal(ended, [ref]);
  edged.removePod(ref);
  await clock.advance(minutes(2));
  assert.equal(runtime.list(), ['app#0 exited']);
  runtime.removalFault = undefined;
  await clock.advance(seconds(15));
  assert.equal([runtime.list(), runtime.sandboxCount, ended], [[], 0, [ref]]);
});

test('a pod that the cluster no longer has is removed without a word', async ({
  edged,
  runtime,
  ended,
  clock,
}) => {
  edged.applyPod(podOf());
  await clock.advance(seconds(2));
  edged.removePod(ref);
  await clock.advance(seconds(1));
  assert.equal([runtime.list(), runtime.sandboxCount, ended], [[], 0, []]);
});

test('the removal of an earlier pod of the name leaves the new one alone', async ({
  edged,
  runtime,
  clock,
}) => {
  edged.applyPod(podOf({}, { uid: 'u2' }));
  await clock.advance(seconds(2));
  edged.removePod(ref);
  await clock.advance(seconds(2));
  assert.equal(runtime.list(), ['app#0 running']);
});

test('containers run on over a restart of the agent, and are not started twice', async ({
  edged,
  runtime,
  kept,
  clock,
  make,
}) => {
  edged.applyPod(podOf());
  await clock.advance(seconds(2));
  await edged.stop();
  kept.push(podOf());
  const next = make();
  await next.start();
  await clock.advance(minutes(2));
  assert.equal(runtime.done, ['sandbox', 'start app#0']);
  const [pod] = next.pods();
  assert.equal(stateOf(pod?.status), ['Running', 'running']);
  await next.stop();
});

test('after a kill the status is told again, though the kept pod has it: what was on its way may have been lost', async ({
  edged,
  kept,
  statuses,
  clock,
  make,
}) => {
  edged.applyPod(podOf());
  await clock.advance(seconds(2));
  const last = statuses.at(-1);
  await edged.stop();
  kept.push({ ...podOf(), ...(last ? { status: last } : {}) });
  statuses.length = 0;
  const next = make();
  await next.start();
  await clock.advance(seconds(2));
  assert.equal(statuses, [last]);
  await next.stop();
});

test('after a reboot the pods start from the store, without a cloud', async ({ edged, runtime, clock }) => {
  edged.applyPod(podOf());
  await clock.advance(seconds(2));
  runtime.reboot();
  await clock.advance(seconds(2));
  assert.equal(runtime.done, ['sandbox', 'start app#0', 'sandbox', 'start app#1']);
  assert.is(runtime.sandboxCount, 1);
});

test('a changed definition replaces the container', async ({ edged, runtime, clock }) => {
  edged.applyPod(podOf());
  await clock.advance(seconds(2));
  edged.applyPod(podOf({ containers: [{ name: 'app', image: 'app:2' }] }));
  await clock.advance(seconds(2));
  assert.equal(runtime.done.slice(2), ['stop app#0 30', 'start app#1']);
});

test('a runtime that is away is told, and pods start when it is back', async ({
  edged,
  runtime,
  statuses,
  clock,
}) => {
  runtime.up = false;
  await clock.advance(seconds(1));
  assert.match(edged.runtime.fault ?? '', 'no container runtime at unix:///test.sock');
  edged.applyPod(podOf());
  await clock.advance(seconds(1));
  assert.equal(stateOf(statuses.at(-1)), ['Pending', 'ContainerRuntimeNotReady']);
  runtime.up = true;
  await clock.advance(seconds(2));
  assert.is(edged.runtime.fault, undefined);
  assert.equal(stateOf(statuses.at(-1)), ['Running', 'running']);
});

test('an image that cannot be pulled is tried again, and the status says so', async ({
  edged,
  runtime,
  statuses,
  clock,
}) => {
  runtime.pullFault = 'denied';
  edged.applyPod(podOf());
  await clock.advance(seconds(1));
  assert.equal(stateOf(statuses.at(-1)), ['Pending', 'ErrImagePull']);
  await clock.advance(seconds(11));
  assert.equal(stateOf(statuses.at(-1)), ['Pending', 'ImagePullBackOff']);
  runtime.pullFault = undefined;
  await clock.advance(seconds(17));
  assert.equal(stateOf(statuses.at(-1)), ['Pending', 'ImagePullBackOff']);
  await clock.advance(seconds(3));
  assert.equal(stateOf(statuses.at(-1)), ['Running', 'running']);
});

test('a pod waits for its configuration, and starts when that arrives', async ({
  edged,
  statuses,
  configMaps,
  clock,
}) => {
  const envFrom = [{ configMapRef: { name: 'settings' } }];
  edged.applyPod(podOf({ containers: [{ name: 'app', image: 'app:1', envFrom }] }));
  await clock.advance(seconds(1));
  assert.equal(stateOf(statuses.at(-1)), ['Pending', 'CreateContainerConfigError']);
  configMaps.set('settings', { a: '1' });
  edged.configMapChanged('shop');
  await clock.advance(seconds(1));
  assert.equal(stateOf(statuses.at(-1)), ['Running', 'running']);
});

test('a pod that cannot be understood is refused once, and the others go on', async ({
  edged,
  statuses,
  events,
  runtime,
  clock,
}) => {
  const broken = podOf({ containers: [] }, { name: 'broken', uid: 'u9' });
  edged.applyPod(broken);
  edged.applyPod(broken);
  assert.equal(
    statuses.map(({ phase, reason, message }) => [phase, reason, message]),
    [['Failed', 'UnexpectedAdmissionError', 'spec.containers: is empty']],
  );
  assert.equal(events, ['UnexpectedAdmissionError broken']);
  edged.applyPod(podOf());
  await clock.advance(seconds(1));
  assert.equal(runtime.list(), ['app#0 running']);
});

test('a refused pod that is deleted has ended', ({ edged, ended }) => {
  edged.applyPod(podOf({ containers: [] }, { deletionTimestamp: '2026-01-01T00:00:00Z' }));
  assert.equal(ended, [ref]);
});

test('what the cluster does not know is removed a minute after the link came up, not before', async ({
  edged,
  runtime,
  clock,
  make,
}) => {
  edged.applyPod(podOf());
  await clock.advance(seconds(2));
  await edged.stop();
  const next = make();
  await next.start();
  await clock.advance(minutes(10));
  assert.equal(runtime.list(), ['app#0 running'], 'offline nothing is removed');
  next.online(true);
  await clock.advance(seconds(59));
  assert.equal(runtime.list(), ['app#0 running']);
  await clock.advance(seconds(3));
  assert.equal([runtime.list(), runtime.sandboxCount], [[], 0]);
  await next.stop();
});

test('a container’s last words are in its status', async ({ edged, runtime, statuses, clock, dir }) => {
  edged.applyPod(podOf({ restartPolicy: 'Never' }));
  await clock.advance(seconds(2));
  const folder = join(dir, 'kubelet', 'pods', 'u1', 'containers', 'app');
  writeFileSync(join(folder, 'termination-0'), 'out of ideas');
  runtime.exit('app', 3);
  await clock.advance(seconds(2));
  const { terminated } = statuses.at(-1)?.containerStatuses?.[0]?.state ?? {};
  assert.equal([terminated?.exitCode, terminated?.reason, terminated?.message], [3, 'Error', 'out of ideas']);
});

test('without last words the end of the log stands for them, where the pod wants that', async ({
  edged,
  runtime,
  statuses,
  clock,
  dir,
}) => {
  const terminationMessagePolicy = 'FallbackToLogsOnError';
  const containers = [{ name: 'app', image: 'app:1', terminationMessagePolicy } as const];
  edged.applyPod(podOf({ restartPolicy: 'Never', containers }));
  await clock.advance(seconds(2));
  const line = (text: string): string => `2026-01-01T00:00:00Z stderr F ${text}\n`;
  runtime.logPath = join(dir, 'app.log');
  writeFileSync(runtime.logPath, line('x'.repeat(70)).repeat(200) + line('disk is full') + line('giving up'));
  runtime.exit('app', 3);
  await clock.advance(seconds(2));
  const { terminated } = statuses.at(-1)?.containerStatuses?.[0]?.state ?? {};
  const lines = terminated?.message?.split('\n') ?? [];
  assert.equal([lines.length, ...lines.slice(-3)], [20, 'x'.repeat(70), 'disk is full', 'giving up']);
});

test('who watches hears of changes', async ({ edged, clock }) => {
  let heard = 0;
  const stop = edged.onChange(() => heard++);
  edged.applyPod(podOf());
  await clock.advance(seconds(2));
  assert.ok(heard > 0);
  const before = heard;
  stop();
  edged.removePod(ref);
  await clock.advance(seconds(2));
  assert.is(heard, before);
});

test.run();
