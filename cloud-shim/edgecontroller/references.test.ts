import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Pod, PodSpec } from '../../runtime/core/pod.ts';
import { referencesOf } from './references.ts';

const found = (spec: Partial<PodSpec>): string[] => {
  const pod: Pod = { metadata: { name: 'p' }, spec: { containers: [], ...spec } };
  return [...referencesOf(pod)].sort();
};
const container = { name: 'c', image: 'i' };
const env = (valueFrom: object) => ({ name: 'A', valueFrom });

/** Every place where a pod may name a configMap or a secret. @source Kubernetes API reference, PodSpec */
const places: [string, Partial<PodSpec>, string[]][] = [
  ['nothing', {}, []],
  [
    'a variable',
    { containers: [{ ...container, env: [env({ configMapKeyRef: { name: 'm', key: 'k' } })] }] },
    ['configmap/m'],
  ],
  [
    'a secret variable',
    { containers: [{ ...container, env: [env({ secretKeyRef: { name: 's', key: 'k' } })] }] },
    ['secret/s'],
  ],
  [
    'all variables at once',
    {
      containers: [
        { ...container, envFrom: [{ configMapRef: { name: 'm' } }, { secretRef: { name: 's' } }] },
      ],
    },
    ['configmap/m', 'secret/s'],
  ],
  [
    'an init container',
    { initContainers: [{ ...container, envFrom: [{ secretRef: { name: 's' } }] }] },
    ['secret/s'],
  ],
  ['a volume', { volumes: [{ name: 'v', configMap: { name: 'm' } }] }, ['configmap/m']],
  ['a secret volume', { volumes: [{ name: 'v', secret: { secretName: 's' } }] }, ['secret/s']],
  [
    'a projected volume',
    {
      volumes: [
        {
          name: 'v',
          projected: {
            sources: [
              { configMap: { name: 'kube-root-ca.crt' } },
              { secret: { name: 's' } },
              { serviceAccountToken: { path: 'token' } },
              { downwardAPI: {} },
            ],
          },
        },
      ],
    },
    ['configmap/kube-root-ca.crt', 'secret/s'],
  ],
  ['a pull secret', { imagePullSecrets: [{ name: 'registry' }] }, ['secret/registry']],
  [
    'the same name in two places',
    {
      containers: [{ ...container, envFrom: [{ secretRef: { name: 's' } }] }],
      volumes: [{ name: 'v', secret: { secretName: 's' } }],
    },
    ['secret/s'],
  ],
  [
    'a field, which is no object',
    { containers: [{ ...container, env: [env({ fieldRef: { fieldPath: 'metadata.name' } })] }] },
    [],
  ],
  [
    'a plain value',
    {
      containers: [{ ...container, env: [{ name: 'A', value: 'x' }] }],
      volumes: [{ name: 'v', emptyDir: {} }],
    },
    [],
  ],
];
for (const [what, spec, references] of places) {
  test(`in ${what}, ${references.join(' and ') || 'nothing'} is named`, () =>
    assert.equal(found(spec), references));
}

test.run();
