import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { EdgeError, errorCode } from '../core/errors.ts';
import type { TokenRequestSpec } from '../core/k8s.ts';
import type { Pod, Volume } from '../core/pod.ts';
import { mountVolumes, removeVolumes, type VolumeSource } from './volumes.ts';

type Context = {
  dir: string;
  podFolder: string;
  tokens: [string, string, TokenRequestSpec][];
  data: Record<string, string>;
  mount: (volume: Volume) => Promise<string>;
};
const test = suite<Context>('volumes');
const base64 = (text: string): string => Buffer.from(text).toString('base64');

test.before.each((context) => {
  const dir = mkdtempSync(join(tmpdir(), 'volumes-'));
  const podFolder = join(dir, 'pods', 'u1');
  const tokens: Context['tokens'] = [];
  const data: Record<string, string> = { 'app.conf': 'x=1', other: 'y' };
  const source: VolumeSource = {
    configMap: async (_namespace, name) => {
      if (name !== 'settings') throw new EdgeError('OBJECT_NOT_FOUND');
      return { metadata: { name }, data };
    },
    secret: async (namespace, name) => {
      if (name !== 'keys') throw new EdgeError('OBJECT_NOT_FOUND');
      return { metadata: { name }, data: { password: base64(`s3cret of ${namespace}`) } };
    },
    serviceAccountToken: async (...request) => {
      tokens.push(request);
      return { token: 'jwt', expirationTimestamp: '2026-01-01T01:00:00Z' };
    },
  };
  const mount = async (volume: Volume): Promise<string> => {
    const pod: Pod = {
      metadata: { name: 'web', namespace: 'shop', uid: 'u1', labels: { app: 'web' } },
      spec: {
        serviceAccountName: 'seller',
        containers: [{ name: 'app', image: 'i', resources: { limits: { cpu: '2' } } }],
        volumes: [volume],
      },
    };
    const facts = { nodeName: 'edge-1', hostIP: '192.0.2.1', podIP: '10.0.0.7' };
    const paths = await mountVolumes(pod, podFolder, facts, source);
    return paths.get(volume.name) ?? '';
  };
  Object.assign(context, { dir, podFolder, tokens, data, mount });
});
test.after.each(({ dir }) => rmSync(dir, { recursive: true }));

const contents = (folder: string): Record<string, string> =>
  Object.fromEntries(
    readdirSync(folder)
      .filter((name) => !name.startsWith('..'))
      .map((name) => [name, readFileSync(join(folder, name), 'utf8')]),
  );
const codeOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => 'mounted',
    (error: unknown) => errorCode(error),
  );

const config = (parts: Partial<NonNullable<Volume['configMap']>> = {}): Volume => ({
  name: 'v',
  configMap: { name: 'settings', ...parts },
});

test('volumes lie where the kubelet has them', async ({ mount, podFolder }) => {
  const paths: [Volume, string][] = [
    [{ name: 'v', emptyDir: {} }, 'kubernetes.io~empty-dir/v'],
    [config(), 'kubernetes.io~configmap/v'],
    [{ name: 'v', secret: { secretName: 'keys' } }, 'kubernetes.io~secret/v'],
    [{ name: 'v', projected: {} }, 'kubernetes.io~projected/v'],
    [{ name: 'v', downwardAPI: {} }, 'kubernetes.io~downward-api/v'],
  ];
  for (const [volume, path] of paths) {
    assert.is(await mount(volume), join(podFolder, 'volumes', path));
    assert.ok(statSync(join(podFolder, 'volumes', path)).isDirectory());
  }
});

test('a configmap is a folder of its entries', async ({ mount }) => {
  const folder = await mount(config());
  assert.equal(contents(folder), { 'app.conf': 'x=1', other: 'y' });
  assert.is(statSync(join(folder, 'other')).mode & 0o777, 0o644);
});

test('a configmap that changed is brought up to date by the next mount', async ({ mount, data }) => {
  const folder = await mount(config());
  data.other = 'z';
  assert.is(await mount(config()), folder);
  assert.is(contents(folder).other, 'z');
});

test('items choose entries, their names and modes', async ({ mount }) => {
  const items = [
    { key: 'app.conf', path: 'conf', mode: 0o600 },
    { key: 'other', path: 'b' },
  ];
  const folder = await mount(config({ items, defaultMode: 0o440 }));
  assert.equal(contents(folder), { conf: 'x=1', b: 'y' });
  assert.equal(
    ['conf', 'b'].map((name) => statSync(join(folder, name)).mode & 0o777),
    [0o600, 0o440],
  );
});

test('a secret is decoded, and comes from the pod’s namespace', async ({ mount }) => {
  const folder = await mount({ name: 'v', secret: { secretName: 'keys' } });
  assert.equal(contents(folder), { password: 's3cret of shop' });
});

const absent: [string, Volume, string][] = [
  ['a configmap', config({ name: 'x' }), 'OBJECT_NOT_FOUND'],
  ['an optional configmap', config({ name: 'x', optional: true }), 'mounted'],
  ['a secret', { name: 'v', secret: { secretName: 'x' } }, 'OBJECT_NOT_FOUND'],
  ['an optional secret', { name: 'v', secret: { secretName: 'x', optional: true } }, 'mounted'],
  ['a key', config({ items: [{ key: 'x', path: 'x' }] }), 'OBJECT_NOT_FOUND'],
  ['a key of an optional configmap', config({ items: [{ key: 'x', path: 'x' }], optional: true }), 'mounted'],
];
for (const [what, volume, outcome] of absent) {
  test(`${what} that is not there: ${outcome}`, async ({ mount }) =>
    assert.is(await codeOf(mount(volume)), outcome));
}

test('the downward API gives fields and amounts', async ({ mount }) => {
  const folder = await mount({
    name: 'v',
    downwardAPI: {
      items: [
        { path: 'labels', fieldRef: { fieldPath: 'metadata.labels' } },
        { path: 'cpu', resourceFieldRef: { containerName: 'app', resource: 'limits.cpu' } },
      ],
    },
  });
  assert.equal(contents(folder), { labels: 'app="web"', cpu: '2' });
});

test('a projected volume gathers its sources, a token among them', async ({ mount, tokens }) => {
  const folder = await mount({
    name: 'v',
    projected: {
      sources: [
        { serviceAccountToken: { path: 'token', expirationSeconds: 600, audience: 'vault' } },
        { configMap: { name: 'settings', items: [{ key: 'other', path: 'other' }] } },
        { secret: { name: 'none', optional: true } },
        { downwardAPI: { items: [{ path: 'namespace', fieldRef: { fieldPath: 'metadata.namespace' } }] } },
      ],
    },
  });
  assert.equal(contents(folder), { token: 'jwt', other: 'y', namespace: 'shop' });
  assert.equal(tokens, [
    [
      'shop',
      'seller',
      {
        audiences: ['vault'],
        expirationSeconds: 600,
        boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name: 'web', uid: 'u1' },
      },
    ],
  ]);
});

test('a token without wishes is for the API server, for an hour', async ({ mount, tokens }) => {
  await mount({ name: 'v', projected: { sources: [{ serviceAccountToken: { path: 'token' } }] } });
  const spec = tokens[0]?.[2];
  assert.equal([spec?.audiences, spec?.expirationSeconds], [null, 3600]);
});

const refused: [string, Volume][] = [
  ['a claim', { name: 'v', persistentVolumeClaim: { claimName: 'c' } }],
  ['a volume of no kind', { name: 'v' }],
  ['a projected source of no known kind', { name: 'v', projected: { sources: [{}] } }],
  ['a path that leaves the volume', config({ items: [{ key: 'other', path: '../../x' }] })],
];
for (const [what, volume] of refused) {
  test(`${what} is a fault of the pod`, async ({ mount }) =>
    assert.is(await codeOf(mount(volume)), 'OBJECT_INVALID'));
}

/** What is at the path before, and whether the type takes it. */
const hostPaths: [string, 'nothing' | 'file' | 'folder', boolean][] = [
  ['', 'nothing', true],
  ['', 'file', true],
  ['Directory', 'folder', true],
  ['Directory', 'nothing', false],
  ['Directory', 'file', false],
  ['DirectoryOrCreate', 'nothing', true],
  ['DirectoryOrCreate', 'folder', true],
  ['File', 'file', true],
  ['File', 'nothing', false],
  ['File', 'folder', false],
  ['FileOrCreate', 'nothing', true],
  ['FileOrCreate', 'file', true],
  ['FileOrCreate', 'folder', false],
  ['Socket', 'file', false],
  ['CharDevice', 'file', false],
  ['BlockDevice', 'file', false],
  ['Nonsense', 'file', false],
];
for (const [type, what, fits] of hostPaths) {
  test(`hostPath of type ${type || 'none'} on ${what} is ${fits ? 'taken' : 'refused'}`, async ({
    mount,
    dir,
  }) => {
    const path = what === 'folder' ? dir : join(dir, 'parent', 'x');
    if (what === 'file') {
      await mount({ name: 'made', hostPath: { path, type: 'FileOrCreate' } });
      writeFileSync(path, 'kept');
    }
    const mounted = mount({ name: 'v', hostPath: { path, type } });
    if (!fits) return assert.is(await codeOf(mounted), 'OBJECT_INVALID');
    assert.is(await mounted, path);
    if (what === 'file') assert.is(readFileSync(path, 'utf8'), 'kept');
    assert.is(existsSync(path), type !== '' || what !== 'nothing');
  });
}

test('a character device is one', async ({ mount }) => {
  assert.is(await mount({ name: 'v', hostPath: { path: '/dev/null', type: 'CharDevice' } }), '/dev/null');
});

test('what a pod had is removed with it, what the host has stays', async ({ mount, podFolder, dir }) => {
  const host = join(dir, 'host');
  await mount({ name: 'h', hostPath: { path: host, type: 'DirectoryOrCreate' } });
  await mount(config());
  removeVolumes(podFolder);
  assert.equal([existsSync(podFolder), existsSync(host)], [false, true]);
  removeVolumes(podFolder);
});

test.run();
