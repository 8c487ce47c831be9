import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parseApiPath } from '../api-path.ts';
import { attributesOf, isAllowed } from './rules.ts';

const access = {
  accessRoleBinding: [
    {
      roleBinding: { metadata: { namespace: 'ns' } },
      rules: [
        { verbs: ['get', 'list'], apiGroups: [''], resources: ['pods', 'pods/log'] },
        { verbs: ['update'], apiGroups: [''], resources: ['configmaps'], resourceNames: ['own'] },
      ],
    },
  ],
  accessClusterRoleBinding: [
    {
      clusterRoleBinding: { metadata: { name: 'x' } },
      rules: [
        { verbs: ['*'], apiGroups: ['apps'], resources: ['*'] },
        { verbs: ['watch'], apiGroups: ['*'], resources: ['nodes'] },
        { verbs: ['patch'], apiGroups: [''], resources: ['*/status'] },
      ],
    },
  ],
};
const asks: [string, string, boolean, boolean][] = [
  ['GET', '/api/v1/namespaces/ns/pods/web', false, true],
  ['GET', '/api/v1/namespaces/ns/pods', false, true],
  ['GET', '/api/v1/namespaces/ns/pods', true, false],
  ['GET', '/api/v1/namespaces/ns/pods/web/log', false, true],
  ['GET', '/api/v1/namespaces/ns/pods/web/exec', false, false],
  ['GET', '/api/v1/namespaces/other/pods', false, false],
  ['GET', '/api/v1/pods', false, false],
  ['PUT', '/api/v1/namespaces/ns/configmaps/own', false, true],
  ['PUT', '/api/v1/namespaces/ns/configmaps/other', false, false],
  ['POST', '/apis/apps/v1/namespaces/any/deployments', false, true],
  ['DELETE', '/apis/apps/v1/namespaces/any/deployments', false, true],
  ['GET', '/api/v1/nodes', true, true],
  ['GET', '/api/v1/nodes', false, false],
  ['PATCH', '/api/v1/nodes/n/status', false, true],
  ['PATCH', '/api/v1/nodes/n', false, false],
];
for (const [method, url, watch, wanted] of asks) {
  test(`${method} ${url}${watch ? '?watch' : ''} is ${wanted ? 'allowed' : 'refused'}`, () => {
    const path = parseApiPath(url);
    assert.ok(path);
    if (path) assert.is(isAllowed(access, attributesOf(method, path, watch)), wanted);
  });
}

test('what is no access allows nothing', () => {
  const path = parseApiPath('/api/v1/pods');
  for (const bad of [null, 'x', {}, { accessClusterRoleBinding: [{ rules: 'x' }] }])
    if (path) assert.not(isAllowed(bad, attributesOf('GET', path, false)));
});

test.run();
