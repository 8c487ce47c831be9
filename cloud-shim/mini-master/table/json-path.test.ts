import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Json } from '../json.ts';
import { compileJsonPath, findJsonPath } from './json-path.ts';

const object: Json = {
  metadata: { name: 'a', labels: { 'app.kubernetes.io/name': 'x' }, annotations: { plain: 'y' } },
  spec: { replicas: 0, ready: false, empty: null, list: [1, 2, 3], map: { a: 1, b: 2 } },
  status: {
    conditions: [
      { type: 'Ready', status: 'True', code: 7 },
      { type: 'Idle', status: 'False', code: 8, last: true },
    ],
  },
};

/** Path and what it finds. @source Kubernetes, JSONPath support; additionalPrinterColumns */
const found: [string, Json[]][] = [
  ['.metadata.name', ['a']],
  ['{.metadata.name}', ['a']],
  ['$.metadata.name', ['a']],
  [' .metadata.name ', ['a']],
  ['.spec.replicas', [0]],
  ['.spec.ready', [false]],
  ['.spec.empty', [null]],
  ['.spec.none', []],
  ['.spec.none.deeper', []],
  ['.spec.toString', []],
  ['.metadata.name.length', []],
  ['.spec.list', [[1, 2, 3]]],
  ['.spec.list[0]', [1]],
  ['.spec.list[-1]', [3]],
  ['.spec.list[9]', []],
  ['.spec.list[*]', [1, 2, 3]],
  ['.spec.map.*', [1, 2]],
  ['.spec.map[*]', [1, 2]],
  [".metadata.annotations['plain']", ['y']],
  [".metadata.labels['app.kubernetes.io/name']", ['x']],
  [String.raw`.metadata.labels.app\.kubernetes\.io/name`, ['x']],
  ['.status.conditions[*].type', ['Ready', 'Idle']],
  ['.status.conditions[?(@.type=="Ready")].status', ['True']],
  [".status.conditions[?(@.type=='Idle')].status", ['False']],
  ['.status.conditions[?(@.type == "Ready")].status', ['True']],
  ['.status.conditions[?(@.code==8)].type', ['Idle']],
  ['.status.conditions[?(@.last==true)].type', ['Idle']],
  ['.status.conditions[?(@.type=="None")].status', []],
];
for (const [path, values] of found) {
  test(`${path} finds ${JSON.stringify(values)}`, () => {
    const steps = compileJsonPath(path);
    assert.ok(steps);
    assert.equal(findJsonPath(object, steps ?? []), values);
  });
}

for (const path of [
  '.spec.list[',
  '.spec..',
  '.spec.list[0:2]',
  '.a[?(@.b>1)]',
  '.spec list',
  '{range .items[*]}',
  '..name',
]) {
  test(`${path} is not offered`, () => assert.is(compileJsonPath(path), undefined));
}

test.run();
