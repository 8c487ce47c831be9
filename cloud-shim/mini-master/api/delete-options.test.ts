import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { JsonObject } from '../json.ts';
import { Refusal } from '../status.ts';
import { deleteOptions, heldBy } from './delete-options.ts';

const read = (body: JsonObject, query = '') => deleteOptions(body, new URLSearchParams(query));

test('what a deletion asks for is read from its body, then from the query', () => {
  assert.equal(read({}, 'gracePeriodSeconds=7&dryRun=All&propagationPolicy=Orphan'), {
    dryRun: true,
    gracePeriodSeconds: 7,
    uid: '',
    resourceVersion: '',
    holder: 'orphan',
  });
  const body = {
    gracePeriodSeconds: 0,
    preconditions: { uid: 'u', resourceVersion: '5' },
    propagationPolicy: 'Foreground',
  };
  assert.equal(read(body, 'gracePeriodSeconds=7&propagationPolicy=Orphan'), {
    dryRun: false,
    gracePeriodSeconds: 0,
    uid: 'u',
    resourceVersion: '5',
    holder: 'foregroundDeletion',
  });
  assert.is(read({ propagationPolicy: 'Background' }).holder, undefined);
});

test('what cannot be understood is refused', () => {
  const bad = (error: unknown): boolean => error instanceof Refusal && error.code === 400;
  assert.throws(() => read({ gracePeriodSeconds: 'soon' }), bad);
  assert.throws(() => read({ propagationPolicy: 'Sideways' }), bad);
});

test('an object is held once, beside what holds it already', () => {
  const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a', finalizers: ['mine'] } };
  const held = heldBy(object, 'orphan');
  assert.equal(held.metadata.finalizers, ['mine', 'orphan']);
  assert.is(heldBy(held, 'orphan'), held);
  assert.is(heldBy(object, undefined), object);
});

test.run();
