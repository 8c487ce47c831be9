import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { EdgeError, errorCode } from '../core/errors.ts';
import type { ConfigMap, Secret } from '../core/k8s.ts';
import type { Container, Pod } from '../core/pod.ts';
import { configMapData, environment, expand, secretData } from './env.ts';

const known = new Map([
  ['A', '1'],
  ['B', '$(A)'],
  ['EMPTY', ''],
]);
/** Rows of Kubernetes' own table, third_party/forked/golang/expansion. */
const expansions: [string, string][] = [
  ['$(A)', '1'],
  ['a$(A)b$(A)', 'a1b1'],
  ['$(NONE)', '$(NONE)'],
  ['$(EMPTY)x', 'x'],
  ['$(B)', '$(A)'],
  ['$$(A)', '$(A)'],
  ['$$$(A)', '$1'],
  ['$$$$(A)', '$$(A)'],
  ['$$', '$'],
  ['$', '$'],
  ['$A', '$A'],
  ['$(A', '$(A'],
  ['(A)', '(A)'],
  ['$()', '$()'],
  ['5$', '5$'],
  ['$(A)$', '1$'],
];
for (const [text, wanted] of expansions) {
  test(`${JSON.stringify(text)} stands for ${JSON.stringify(wanted)}`, () =>
    assert.is(expand(text, known), wanted));
}

const base64 = (text: string): string => Buffer.from(text).toString('base64');
const missing = new EdgeError('OBJECT_NOT_FOUND');
const source = {
  configMap: async (namespace: string, name: string): Promise<ConfigMap> => {
    if (namespace !== 'shop' || name !== 'settings') throw missing;
    return {
      metadata: { name },
      data: { COLOUR: 'blue', price: '5$$ $(COLOUR)', '1st': 'x', 'a.b-c': 'dotted' },
      binaryData: { BIN: base64('bin') },
    };
  },
  secret: async (namespace: string, name: string): Promise<Secret> => {
    if (namespace !== 'shop' || name !== 'keys') throw missing;
    return { metadata: { name }, data: { PASSWORD: base64('pa$$word$(A)'), COLOUR: base64('red') } };
  },
};
const facts = { nodeName: 'edge-1', hostIP: '192.0.2.1', podIP: '10.0.0.7' };
const pod: Pod = { metadata: { name: 'web', namespace: 'shop' }, spec: { containers: [] } };
const environmentOf = async (
  parts: Partial<Container>,
): Promise<Record<string, string> | string | undefined> => {
  const container = { name: 'app', image: 'i', ...parts };
  try {
    return Object.fromEntries(
      await environment({ ...pod, spec: { containers: [container] } }, container, facts, source),
    );
  } catch (error) {
    return errorCode(error);
  }
};
const from = (valueFrom: NonNullable<NonNullable<Container['env']>[number]['valueFrom']>) => ({
  env: [{ name: 'V', valueFrom }],
});

const rows: [string, Partial<Container>, Record<string, string> | string][] = [
  ['nothing', {}, {}],
  ['a variable without value is empty', { env: [{ name: 'V' }] }, { V: '' }],
  [
    'a variable refers to those before it, not to those after it',
    {
      env: [
        { name: 'V', value: '$(W) $(X)' },
        { name: 'W', value: 'w' },
        { name: 'X', value: '$(W)!' },
      ],
    },
    { V: '$(W) $(X)', W: 'w', X: 'w!' },
  ],
  [
    'a whole configmap, with binary entries and values as they are',
    { envFrom: [{ configMapRef: { name: 'settings' } }] },
    { COLOUR: 'blue', price: '5$$ $(COLOUR)', '1st': 'x', 'a.b-c': 'dotted', BIN: 'bin' },
  ],
  [
    'a prefix, and a variable that refers to what it brought',
    {
      envFrom: [{ prefix: 'K_', secretRef: { name: 'keys' } }],
      env: [{ name: 'V', value: '<$(K_COLOUR)>' }],
    },
    { K_PASSWORD: 'pa$$word$(A)', K_COLOUR: 'red', V: '<red>' },
  ],
  [
    'of two sources with one name the later wins, and a variable over both',
    {
      envFrom: [{ configMapRef: { name: 'settings' } }, { secretRef: { name: 'keys' } }],
      env: [{ name: 'price', value: '6' }],
    },
    { COLOUR: 'red', price: '6', '1st': 'x', 'a.b-c': 'dotted', BIN: 'bin', PASSWORD: 'pa$$word$(A)' },
  ],
  [
    'a secret’s value is not expanded',
    from({ secretKeyRef: { name: 'keys', key: 'PASSWORD' } }),
    { V: 'pa$$word$(A)' },
  ],
  [
    'a configmap’s value is not expanded',
    from({ configMapKeyRef: { name: 'settings', key: 'price' } }),
    { V: '5$$ $(COLOUR)' },
  ],
  ['a field of the pod', from({ fieldRef: { fieldPath: 'status.podIP' } }), { V: '10.0.0.7' }],
  [
    'a limit of the container',
    {
      ...from({ resourceFieldRef: { resource: 'limits.memory', divisor: '1Mi' } }),
      resources: { limits: { memory: '64Mi' } },
    },
    { V: '64' },
  ],
  ['a key that is not there', from({ secretKeyRef: { name: 'keys', key: 'x' } }), 'OBJECT_NOT_FOUND'],
  [
    'an optional key that is not there',
    from({ secretKeyRef: { name: 'keys', key: 'x', optional: true } }),
    {},
  ],
  ['an object that is not there', from({ configMapKeyRef: { name: 'x', key: 'x' } }), 'OBJECT_NOT_FOUND'],
  [
    'an optional object that is not there',
    from({ configMapKeyRef: { name: 'x', key: 'x', optional: true } }),
    {},
  ],
  ['a whole configmap that is not there', { envFrom: [{ configMapRef: { name: 'x' } }] }, 'OBJECT_NOT_FOUND'],
  [
    'an optional whole configmap that is not there',
    { envFrom: [{ configMapRef: { name: 'x', optional: true } }] },
    {},
  ],
  ['a source of a kind that is not known', from({}), 'OBJECT_INVALID'],
];
for (const [what, parts, wanted] of rows) {
  test(`environment: ${what}`, async () => assert.equal(await environmentOf(parts), wanted));
}

test('an optional object that cannot be reached is not taken for absent', async () => {
  const offline = {
    configMap: () => Promise.reject(new EdgeError('LINK_OFFLINE')),
    secret: () => Promise.reject(new EdgeError('LINK_OFFLINE')),
  };
  const container = { name: 'app', image: 'i', envFrom: [{ configMapRef: { name: 'x', optional: true } }] };
  const code = await environment(pod, container, facts, offline).catch((error: unknown) => errorCode(error));
  assert.is(code, 'LINK_OFFLINE');
});

test('entries are bytes: of configmaps as text or base64, of secrets as base64', () => {
  const bytes = Buffer.from([0, 255]);
  const map = configMapData({
    metadata: { name: 'c' },
    data: { text: 'ä' },
    binaryData: { raw: bytes.toString('base64') },
  });
  assert.equal([...map.keys()], ['text', 'raw']);
  assert.ok(map.get('raw')?.equals(bytes));
  assert.is(
    secretData({ metadata: { name: 's' }, data: { k: base64('v') } })
      .get('k')
      ?.toString(),
    'v',
  );
});

test.run();
