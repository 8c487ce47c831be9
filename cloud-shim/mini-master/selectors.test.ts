import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { JsonObject } from './json.ts';
import { matchesExpressions, parseFieldSelector, parseLabelSelector, selectedName } from './selectors.ts';
import { Refusal } from './status.ts';

const isBadRequest = (error: unknown): boolean => error instanceof Refusal && error.code === 400;

/** Selector, labels, and whether they are selected. @source apimachinery pkg/labels; Kubernetes, Labels and Selectors */
const labels: [string, JsonObject, boolean][] = [
  ['', {}, true],
  ['', { x: 'a' }, true],
  ['x=y', { x: 'y' }, true],
  ['x=y', { x: 'z' }, false],
  ['x=y', {}, false],
  ['x==y', { x: 'y' }, true],
  ['x=y,z=w', { x: 'y', z: 'w' }, true],
  ['x=y,z=w', { x: 'y' }, false],
  [' x = y , z = w ', { x: 'y', z: 'w' }, true],
  ['x!=y', { x: 'z' }, true],
  ['x!=y', { x: 'y' }, false],
  ['x!=y', {}, true],
  ['x=', { x: '' }, true],
  ['x=', {}, false],
  ['x', { x: '' }, true],
  ['x', {}, false],
  ['!x', {}, true],
  ['!x', { x: 'y' }, false],
  ['x in (a, b)', { x: 'b' }, true],
  ['x in (a,b)', { x: 'c' }, false],
  ['x in (a,b)', {}, false],
  ['x in (a,)', { x: '' }, true],
  ['x in ()', { x: '' }, true],
  ['x in ()', { x: 'a' }, false],
  ['x notin (a,b)', { x: 'c' }, true],
  ['x notin (a,b)', { x: 'a' }, false],
  ['x notin (a,b)', {}, true],
  ['x in (foo,,baz),y,z notin ()', { x: 'baz', y: 'any', z: 'set' }, true],
  ['environment in (production, qa),tier notin (frontend),!partition', { environment: 'qa' }, true],
  ['environment in (production, qa),tier notin (frontend)', { environment: 'qa', tier: 'frontend' }, false],
  ['node-role.kubernetes.io/edge=', { 'node-role.kubernetes.io/edge': '' }, true],
  ['in in (in)', { in: 'in' }, true],
  ['x>1', { x: '2' }, true],
  ['x>1', { x: '1' }, false],
  ['x<5,x>1', { x: '3' }, true],
  ['x>1', { x: 'many' }, false],
  ['x>1', {}, false],
  ['toString', {}, false],
  ['!constructor', {}, true],
];
for (const [selector, set, selected] of labels) {
  test(`the label selector "${selector}" ${selected ? 'takes' : 'leaves'} ${JSON.stringify(set)}`, () => {
    assert.is(parseLabelSelector(selector)({ metadata: { labels: set } }), selected);
  });
}

test('an object without labels is like one with none set', () => {
  assert.is(parseLabelSelector('!x')({ metadata: { name: 'a' } }), true);
  assert.is(parseLabelSelector('x')({}), false);
});

for (const selector of [
  'x=a||y=b',
  'x==a==b',
  '!x=a',
  'x in a,b',
  'x in (a',
  'x a',
  'x=a,,y=b',
  'x=a,',
  ',x=a',
  ',',
  'x>a',
  'x<',
  '-x',
  'a/b/c',
  'x=a b',
  '=a',
]) {
  test(`"${selector}" is no label selector`, () => {
    assert.throws(() => parseLabelSelector(selector), isBadRequest);
  });
}

const pod = {
  metadata: { name: 'a', namespace: 'ns' },
  spec: { nodeName: 'edge-1' },
  status: { phase: 'Running' },
};
const fields: [string, boolean][] = [
  ['', true],
  ['metadata.name=a', true],
  ['metadata.name==a', true],
  ['metadata.name!=a', false],
  ['metadata.name=b', false],
  ['status.phase!=Pending,spec.nodeName=edge-1', true],
  ['status.phase=Running,spec.nodeName=edge-2', false],
  ['status.podIP=', true],
  ['status.podIP!=', false],
];
const supported = ['metadata.name', 'spec.nodeName', 'status.phase', 'status.podIP', 'spec.unschedulable'];
for (const [selector, selected] of fields) {
  test(`the field selector "${selector}" ${selected ? 'takes' : 'leaves'} the pod`, () => {
    assert.is(parseFieldSelector(selector, supported)(pod), selected);
  });
}

test('a comma, an equals sign and a backslash of a value are escaped', () => {
  const matches = parseFieldSelector(String.raw`metadata.name=a\,b\=c\\d`, supported);
  assert.is(matches({ metadata: { name: String.raw`a,b=c\d` } }), true);
});

test('a node that says nothing of it is schedulable', () => {
  assert.is(parseFieldSelector('spec.unschedulable=false', supported)({ spec: {} }), true);
  assert.is(
    parseFieldSelector('spec.unschedulable=false', supported)({ spec: { unschedulable: true } }),
    false,
  );
});

test('a field that is not offered is named', () => {
  assert.throws(
    () => parseFieldSelector('spec.hostname=x', supported),
    /field label not supported: spec\.hostname/,
  );
  assert.throws(() => parseFieldSelector('spec.hostname=x', supported), isBadRequest);
});

test('what is no field selector is refused', () => {
  assert.throws(() => parseFieldSelector('metadata.name', supported), /invalid selector: 'metadata\.name'/);
});

test('a name that is asked for by equality is found', () => {
  assert.is(selectedName('metadata.name=a'), 'a');
  assert.is(selectedName('status.phase=Running,metadata.name==b'), 'b');
  assert.is(selectedName('metadata.name!=a'), undefined);
  assert.is(selectedName('status.phase=Running'), undefined);
});

const expressions: [JsonObject, boolean][] = [
  [{ key: 'x', operator: 'In', values: ['5', '6'] }, true],
  [{ key: 'x', operator: 'In', values: ['6'] }, false],
  [{ key: 'x', operator: 'NotIn', values: ['6'] }, true],
  [{ key: 'none', operator: 'NotIn', values: ['6'] }, true],
  [{ key: 'none', operator: 'In', values: ['6'] }, false],
  [{ key: 'x', operator: 'Exists' }, true],
  [{ key: 'none', operator: 'Exists' }, false],
  [{ key: 'none', operator: 'DoesNotExist' }, true],
  [{ key: 'x', operator: 'DoesNotExist' }, false],
  [{ key: 'x', operator: 'Gt', values: ['4'] }, true],
  [{ key: 'x', operator: 'Gt', values: ['5'] }, false],
  [{ key: 'x', operator: 'Lt', values: ['6'] }, true],
  [{ key: 'empty', operator: 'Lt', values: ['6'] }, false],
  [{ key: 'none', operator: 'Lt', values: ['6'] }, false],
  [{ key: 'x', operator: 'Like', values: ['5'] }, false],
];
for (const [expression, matches] of expressions) {
  test(`${JSON.stringify(expression)} is ${matches} of x=5`, () => {
    assert.is(matchesExpressions([expression], { x: '5', empty: '' }), matches);
  });
}

test.run();
