import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { errorCode } from '../core/errors.ts';
import type { Container, PodSpec } from '../core/pod.ts';
import { containerConfig, containerHash, terminationLog } from './container-config.ts';

type Config = ReturnType<typeof containerConfig>;
type Context = { dir: string; make: (container?: Partial<Container>, spec?: Partial<PodSpec>) => Config };
const test = suite<Context>('container-config');

test.before.each((context) => {
  const dir = mkdtempSync(join(tmpdir(), 'container-config-'));
  context.dir = dir;
  context.make = (parts = {}, spec = {}) => {
    const container: Container = { name: 'app', image: 'app:1', ...parts };
    return containerConfig({
      pod: {
        metadata: { name: 'web', namespace: 'shop', uid: 'u1' },
        spec: { containers: [container], ...spec },
      },
      container,
      attempt: 2,
      imageRef: 'sha256:1',
      env: new Map([
        ['COLOUR', 'blue'],
        ['EMPTY', ''],
      ]),
      volumes: new Map([['data', '/volumes/data']]),
      podFolder: join(dir, 'pod'),
      podIP: '10.0.0.7',
      nodeMemory: 8 * 1024 ** 3,
    });
  };
});
test.after.each(({ dir }) => rmSync(dir, { recursive: true }));

const mountsAt = (config: Config, path: string) =>
  (config.mounts ?? []).filter(({ containerPath }) => containerPath === path);
const codeOf = (work: () => unknown): unknown => {
  try {
    work();
    return 'made';
  } catch (error) {
    return errorCode(error);
  }
};

test('a container says whose it is, what it runs and where it logs', ({ make }) => {
  const config = make({
    command: ['run', '$(COLOUR)'],
    args: ['$$(COLOUR)', '$(NONE)'],
    workingDir: '/srv',
    tty: true,
    stdin: true,
  });
  assert.equal(config.metadata, { name: 'app', attempt: 2 });
  assert.equal(config.image, { image: 'sha256:1' });
  assert.equal(config.command, ['run', 'blue']);
  assert.equal(config.args, ['$(COLOUR)', '$(NONE)']);
  assert.equal([config.workingDir, config.tty, config.stdin, config.stdinOnce], ['/srv', true, true, false]);
  assert.equal(config.labels, {
    'io.kubernetes.pod.name': 'web',
    'io.kubernetes.pod.namespace': 'shop',
    'io.kubernetes.pod.uid': 'u1',
    'io.kubernetes.container.name': 'app',
  });
  assert.is(config.logPath, 'app/2.log');
  assert.equal(
    config.envs?.map(({ key, value }) => [key, value?.toString()]),
    [
      ['COLOUR', 'blue'],
      ['EMPTY', ''],
    ],
  );
});

test('without a command of its own the image’s is left to the runtime', ({ make }) => {
  const { command, args } = make();
  assert.equal([command, args], [[], []]);
});

const mounts: [
  string,
  Omit<NonNullable<Container['volumeMounts']>[number], 'name' | 'mountPath'>,
  object | string,
][] = [
  ['a volume', {}, { hostPath: '/volumes/data', readonly: false, propagation: 0 }],
  [
    'one that is read only',
    { readOnly: true },
    { hostPath: '/volumes/data', readonly: true, propagation: 0 },
  ],
  ['a folder of it', { subPath: 'a/b' }, { hostPath: '/volumes/data/a/b', readonly: false, propagation: 0 }],
  [
    'a folder named by a variable',
    { subPathExpr: 'x-$(COLOUR)' },
    { hostPath: '/volumes/data/x-blue', readonly: false, propagation: 0 },
  ],
  [
    'one that sees mounts of the host',
    { mountPropagation: 'HostToContainer' },
    { hostPath: '/volumes/data', readonly: false, propagation: 1 },
  ],
  [
    'one that shares mounts with the host',
    { mountPropagation: 'Bidirectional' },
    { hostPath: '/volumes/data', readonly: false, propagation: 2 },
  ],
  ['a folder outside of it', { subPath: 'a/../../b' }, 'OBJECT_INVALID'],
];
for (const [what, parts, wanted] of mounts) {
  test(`mount of ${what}`, ({ make }) => {
    const volumeMounts = [{ name: 'data', mountPath: '/data', ...parts }];
    if (typeof wanted === 'string')
      return assert.is(
        codeOf(() => make({ volumeMounts })),
        wanted,
      );
    assert.equal(mountsAt(make({ volumeMounts }), '/data'), [{ containerPath: '/data', ...wanted }]);
  });
}

test('a mount of a volume that the pod has not is a fault of the pod', ({ make }) => {
  assert.is(
    codeOf(() => make({ volumeMounts: [{ name: 'x', mountPath: '/x' }] })),
    'OBJECT_INVALID',
  );
});

test('the hosts file names the pod and its aliases', ({ make }) => {
  const config = make(
    {},
    { hostname: 'shop', subdomain: 'eu', hostAliases: [{ ip: '192.0.2.9', hostnames: ['a', 'b'] }] },
  );
  const [mount] = mountsAt(config, '/etc/hosts');
  const lines = readFileSync(mount?.hostPath ?? '', 'utf8').split('\n');
  assert.ok(lines.includes('127.0.0.1\tlocalhost'));
  assert.ok(lines.includes('10.0.0.7\tshop.eu shop'));
  assert.ok(lines.includes('192.0.2.9\ta\tb'));
});

test('with the host’s network, or a hosts file of its own, the pod has no other', ({ make }) => {
  assert.equal(mountsAt(make({}, { hostNetwork: true }), '/etc/hosts'), []);
  const own = make({ volumeMounts: [{ name: 'data', mountPath: '/etc/hosts', subPath: 'hosts' }] });
  assert.equal(
    mountsAt(own, '/etc/hosts').map(({ hostPath }) => hostPath),
    ['/volumes/data/hosts'],
  );
});

test('last words have a file of each run, writable for any user', ({ make, dir }) => {
  const [mount] = mountsAt(make({ terminationMessagePath: '/tmp/last' }), '/tmp/last');
  assert.is(mount?.hostPath, terminationLog(join(dir, 'pod'), 'app', 2));
  assert.is(statSync(mount?.hostPath ?? '').mode & 0o777, 0o666);
  assert.is(mountsAt(make(), '/dev/termination-log').length, 1);
});

test('a container without privileges does not see the host’s kernel', ({ make }) => {
  const security = make().linux?.securityContext;
  assert.is(security?.privileged, false);
  assert.ok(security?.maskedPaths?.includes('/proc/kcore'));
  assert.ok(security?.maskedPaths?.includes('/sys/firmware'));
  assert.ok(security?.readonlyPaths?.includes('/proc/sys'));
});

test('a privileged one sees all', ({ make }) => {
  const security = make({ securityContext: { privileged: true } }).linux?.securityContext;
  assert.equal([security?.privileged, security?.maskedPaths, security?.readonlyPaths], [true, [], []]);
});

test('what a container says of its user goes before what the pod says', ({ make }) => {
  const spec = { securityContext: { runAsUser: 1, runAsGroup: 2, fsGroup: 9 } };
  const own = make({ securityContext: { runAsUser: 5 } }, spec).linux?.securityContext;
  assert.equal([own?.runAsUser, own?.runAsGroup, own?.supplementalGroups], [{ value: 5 }, { value: 2 }, [9]]);
  const root = make({ securityContext: { runAsUser: 0 } }, spec).linux?.securityContext;
  assert.equal(root?.runAsUser, { value: 0 });
});

test('root is refused where the pod forbids it', ({ make }) => {
  const spec = { securityContext: { runAsNonRoot: true, runAsUser: 0 } };
  assert.is(
    codeOf(() => make({}, spec)),
    'OBJECT_INVALID',
  );
  assert.is(
    codeOf(() => make({ securityContext: { runAsUser: 5 } }, spec)),
    'made',
  );
  assert.is(
    codeOf(() => make({ securityContext: { runAsNonRoot: false } }, spec)),
    'made',
  );
});

test('capabilities and the bars against more of them', ({ make }) => {
  const security = make({
    securityContext: {
      readOnlyRootFilesystem: true,
      allowPrivilegeEscalation: false,
      capabilities: { add: ['NET_RAW'], drop: ['ALL'] },
    },
  }).linux?.securityContext;
  assert.equal(
    [security?.readonlyRootfs, security?.noNewPrivs, security?.capabilities],
    [true, true, { addCapabilities: ['NET_RAW'], dropCapabilities: ['ALL'] }],
  );
  assert.is(make().linux?.securityContext?.noNewPrivs, false);
});

test('the hash tells a changed definition, not another order of its keys', () => {
  const one: Container = { name: 'a', image: 'i', resources: { limits: { cpu: '1', memory: '1Gi' } } };
  const same: Container = { resources: { limits: { memory: '1Gi', cpu: '1' } }, image: 'i', name: 'a' };
  assert.is(containerHash(one), containerHash(same));
  assert.is.not(containerHash({ ...one, image: 'j' }), containerHash(one));
  assert.is.not(containerHash({ ...one, args: ['a', 'b'] }), containerHash({ ...one, args: ['b', 'a'] }));
});

test.run();
