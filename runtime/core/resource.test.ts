import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { formatResource, parseResource, type ResourcePath } from './resource.ts';

const both: [string, ResourcePath][] = [
  ['default/pod/web', { namespace: 'default', type: 'pod', name: 'web' }],
  ['null/node/edge-1', { namespace: undefined, type: 'node', name: 'edge-1' }],
  ['default/pod', { namespace: 'default', type: 'pod', name: undefined }],
  ['null/clusterrole/system:node', { namespace: undefined, type: 'clusterrole', name: 'system:node' }],
];
for (const [text, path] of both) {
  test(`${text}, both ways`, () => {
    assert.equal(parseResource(text), path);
    assert.is(formatResource(path), text);
  });
}

for (const text of ['', 'membership', '/', '/pod', 'default/', 'default/pod/', 'default//web', 'a/b/c/d']) {
  test(`${JSON.stringify(text)} is no resource path`, () => assert.is(parseResource(text), undefined));
}

test.run();
