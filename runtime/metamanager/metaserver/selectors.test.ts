import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { KubeObject } from '../../core/k8s.ts';
import { Refusal } from './refusal.ts';
import { fieldMatcher, labelMatcher } from './selectors.ts';

const object = {
  metadata: {
    name: 'web',
    namespace: 'ns',
    labels: { app: 'web', 'a.b/tier': 'front', size: '3', empty: '' },
  },
  spec: { nodeName: 'edge-1', hostNetwork: true },
  status: { phase: 'Running' },
} as KubeObject;

const labels: [string, boolean][] = [
  ['', true],
  ['app=web', true],
  ['app==web,a.b/tier=front', true],
  ['app=other', false],
  ['app!=other', true],
  ['missing!=x', true],
  ['app in (web, api),size', true],
  ['app in (api)', false],
  ['app notin (api)', true],
  ['missing notin (api)', true],
  ['!missing', true],
  ['!app', false],
  ['empty=', true],
  ['size>2', true],
  ['size<3', false],
  ['missing>0', false],
];
for (const [text, wanted] of labels) {
  test(`labels by ${JSON.stringify(text)}`, () => assert.is(labelMatcher(text)(object), wanted));
}

const fields: [string, boolean][] = [
  ['', true],
  ['metadata.name=web', true],
  ['metadata.name==web,metadata.namespace=ns', true],
  ['metadata.name!=web', false],
  ['spec.nodeName=edge-1,status.phase!=Pending', true],
  ['spec.hostNetwork=true', true],
  ['spec.unschedulable=false', true],
  ['involvedObject.uid=', true],
  ['metadata.labels=x', false],
];
for (const [text, wanted] of fields) {
  test(`fields by ${JSON.stringify(text)}`, () => assert.is(fieldMatcher(text)(object), wanted));
}

for (const [of, text] of [
  [labelMatcher, 'a=b=c'],
  [labelMatcher, 'in (x)'],
  [labelMatcher, ','],
  [fieldMatcher, 'metadata.name'],
] as const) {
  test(`${JSON.stringify(text)} is refused`, () => {
    assert.throws(
      () => of(text),
      (error: unknown) => error instanceof Refusal && error.status.code === 400,
    );
  });
}

test.run();
