import * as assert from 'uvu/assert';
import { parse } from 'yaml';
import { until } from '../program.ts';
import { configMap } from './core-objects.ts';
import { everyKubectl, type Version } from './versions.ts';

const FRUITS = ['apple', 'pear', 'plum'];

const test = everyKubectl('kubectl reads', {
  prepare: async ({ kubectl, namespace }) => {
    await kubectl.apply(
      configMap('apple', { colour: 'red', weight: '2' }, { labels: { suite: namespace, tier: 'front' } }),
      configMap('pear', { colour: 'green', weight: '3' }, { labels: { suite: namespace, tier: 'back' } }),
      configMap('plum', { weight: '1' }, { labels: { suite: namespace } }),
    );
  },
});

/** The names of the suite's own configmaps that `get` finds. */
async function names({ kubectl, namespace }: Version, ...args: readonly string[]): Promise<string[]> {
  const selector = args.includes('-l') ? [] : ['-l', `suite=${namespace}`];
  const out = await kubectl.run(['get', 'configmaps', '-o', 'name', ...selector, ...args]);
  return out
    .split('\n')
    .filter(Boolean)
    .map((line) => line.replace('configmap/', ''));
}

test('get shows columns, labels as columns, and no header when asked', async ({ kubectl, namespace }) => {
  const table = await kubectl.run(['get', 'cm', '-l', `suite=${namespace}`]);
  assert.match(table, /^NAME +DATA +AGE\napple +2 +\w+\npear +2 +\w+\nplum +1 +\w+\n$/);
  const labelled = await kubectl.run(['get', 'cm', 'apple', '-L', 'tier']);
  assert.match(labelled, /^NAME +DATA +AGE +TIER\napple +2 +\w+ +front\n$/);
  assert.match(await kubectl.run(['get', 'cm', 'plum', '--show-labels']), new RegExp(`suite=${namespace}`));
  assert.match(await kubectl.run(['get', 'cm', 'pear', '--no-headers']), /^pear +2 +\w+\n$/);
});

test('get prints whole objects as YAML and JSON, and what a template asks for', async ({
  kubectl,
  namespace,
}) => {
  const yaml = parse(await kubectl.run(['get', 'cm', 'apple', '-o', 'yaml']));
  assert.equal(yaml.data, { colour: 'red', weight: '2' });
  assert.is(yaml.metadata.namespace, namespace);
  assert.is(yaml.metadata.managedFields, undefined);
  const list = JSON.parse(await kubectl.run(['get', 'cm', 'pear', 'plum', '-o', 'json']));
  assert.is(list.kind, 'List');
  assert.equal(
    list.items.map((item: { metadata: { name: string } }) => item.metadata.name),
    ['pear', 'plum'],
  );
  assert.is(await kubectl.value(['cm', 'apple'], '{.data.colour}'), 'red');
  const template = ['-o', 'go-template={{index .data "weight"}}'];
  assert.is(await kubectl.run(['get', 'cm', 'pear', ...template]), '3');
  const columns = 'custom-columns=FRUIT:.metadata.name,COLOUR:.data.colour';
  const table = await kubectl.run(['get', 'cm', '-l', `suite=${namespace}`, '-o', columns]);
  assert.match(table, /^FRUIT +COLOUR\napple +red\npear +green\nplum +<none>\n$/);
});

test('labels and fields select', async (version) => {
  const { kubectl, namespace } = version;
  const suite = `suite=${namespace}`;
  assert.equal(await names(version, '-l', `${suite},tier=front`), ['apple']);
  assert.equal(await names(version, '-l', `${suite},tier in (front,back)`), ['apple', 'pear']);
  assert.equal(await names(version, '-l', `${suite},tier notin (front)`), ['pear', 'plum']);
  assert.equal(await names(version, '-l', `${suite},tier!=back`), ['apple', 'plum']);
  assert.equal(await names(version, '-l', `${suite},!tier`), ['plum']);
  assert.equal(await names(version, '--field-selector', 'metadata.name=pear'), ['pear']);
  assert.equal(await names(version, '--field-selector', 'metadata.name!=pear'), ['apple', 'plum']);
  assert.match(
    await kubectl.refusal(['get', 'cm', '--field-selector', 'data.colour=red']),
    /field label not supported: data\.colour|"data\.colour" is not a known field selector/,
  );
  assert.match(await kubectl.refusal(['get', 'cm', '-l', 'not a label']), /unable to parse requirement/);
});

test('get -A finds what is in every namespace, sorted as asked', async ({ kubectl, namespace }) => {
  const columns = 'custom-columns=NS:.metadata.namespace,NAME:.metadata.name';
  const everywhere = ['get', 'cm', '-A', '-l', `suite=${namespace}`, '--no-headers', '-o', columns];
  const rows = async (by: string) =>
    (await kubectl.run([...everywhere, `--sort-by=${by}`]))
      .trim()
      .split('\n')
      .map((row) => row.split(/ +/));
  const sorted = ['plum', 'apple', 'pear'].map((name) => [namespace, name]);
  assert.equal(await rows('{.data.weight}'), sorted);
  assert.equal(
    await rows('.metadata.name'),
    FRUITS.map((name) => [namespace, name]),
  );
});

test('a list comes in chunks when a limit is asked for', async (version) => {
  const { kubectl, namespace } = version;
  assert.equal(await names(version, '--chunk-size=1'), FRUITS);
  const all = await kubectl.value(['cm'], '{.items[*].metadata.name}');
  const found: string[] = [];
  let next = '';
  do {
    const path = `/api/v1/namespaces/${namespace}/configmaps?limit=1&continue=${encodeURIComponent(next)}`;
    const { items, metadata } = JSON.parse(await kubectl.run(['get', '--raw', path]));
    assert.is(items.length, 1);
    assert.is(metadata.remainingItemCount ?? 0, all.split(' ').length - found.length - 1);
    found.push(items[0].metadata.name);
    next = metadata.continue ?? '';
  } while (next);
  assert.is(found.join(' '), all);
  assert.match(
    await kubectl.refusal([
      'get',
      '--raw',
      `/api/v1/namespaces/${namespace}/configmaps?limit=1&continue=nonsense`,
    ]),
    /continue key is not valid/,
  );
});

test('get -w shows what is and what comes, --watch-only what comes', async ({ kubectl, namespace }) => {
  const both: string[] = [];
  const later: string[] = [];
  const path = 'jsonpath={.metadata.name}:{.data.weight}{"\\n"}';
  const watches = [
    kubectl.follow(['get', 'cm', 'plum', '-w', '-o', path], (line) => both.push(line)),
    kubectl.follow(['get', 'cm', '-l', `suite=${namespace}`, '--watch-only', '-o', path], (line) =>
      later.push(line),
    ),
  ];
  try {
    await until('what is', () => both.includes('plum:1'));
    let turn = 0;
    await until('what comes', async () => {
      const patch = JSON.stringify({ data: { turn: `${++turn}` } });
      await kubectl.run(['patch', 'cm', 'plum', '-p', patch]);
      return both.length > 1 && later.includes('plum:1');
    });
    assert.not(
      later.some((line) => !line.startsWith('plum')),
      `only plum changes, not ${later}`,
    );
  } finally {
    for (const watch of watches) watch.kill();
  }
});

test('a watch with a deadline ends with a bookmark', async ({ kubectl, namespace, cluster }) => {
  const path = `/api/v1/namespaces/${namespace}/configmaps`;
  const { metadata } = JSON.parse(await kubectl.run(['get', '--raw', `${path}?limit=1`]));
  const query = `watch=true&allowWatchBookmarks=true&timeoutSeconds=3&resourceVersion=${metadata.resourceVersion}`;
  const lines = (await kubectl.run(['get', '--raw', `${path}?${query}`])).trim().split('\n');
  // An API server that has seen no change of the kind since it was started has none to send.
  if (!cluster.isMiniMaster && lines.join('') === '') return;
  const last = JSON.parse(lines.at(-1) ?? '{}');
  assert.is(last.type, 'BOOKMARK');
  assert.is(last.object.kind, 'ConfigMap');
  assert.ok(Number(last.object.metadata.resourceVersion) >= Number(metadata.resourceVersion));
});

test('describe shows an object, and not what is secret', async ({ kubectl, namespace }) => {
  const text = await kubectl.run(['describe', 'cm', 'apple']);
  assert.match(text, /^Name: +apple\n/);
  assert.match(text, new RegExp(`Namespace: +${namespace}\n`));
  assert.match(text, /colour:\n----\nred\n/);
  await kubectl.run(['create', 'secret', 'generic', 'seed', '--from-literal=kernel=hidden']);
  const secret = await kubectl.run(['describe', 'secret', 'seed']);
  assert.match(secret, /Type: +Opaque\n/);
  assert.match(secret, /kernel: +6 bytes/);
  assert.not.match(secret, /hidden/);
  assert.match(await kubectl.run(['describe', 'namespace', namespace]), /Status: +Active/);
});

test('explain tells fields, types and what they mean', async ({ kubectl }) => {
  const containers = await kubectl.run(['explain', 'pod.spec.containers']);
  assert.match(containers, /KIND: +Pod\nVERSION: +v1\n/);
  assert.match(containers, /FIELD: containers <\[\]\w+>/);
  assert.match(containers, / {2}image\t<string>/);
  const recursive = await kubectl.run(['explain', 'devices', '--recursive']);
  assert.match(recursive, /GROUP: +devices\.kubeedge\.io\nKIND: +Device\n/);
  assert.match(recursive, / {4}deviceModelRef\t<Object>/);
  assert.match(await kubectl.refusal(['explain', 'configmap.nothing']), /field "nothing" does not exist/);
});

test('api-resources, api-versions and version tell what is served', async ({ kubectl, minor }) => {
  const cluster = (await kubectl.run(['api-resources', '--namespaced=false', '-o', 'name'])).split('\n');
  for (const name of ['nodes', 'namespaces', 'customresourcedefinitions.apiextensions.k8s.io'])
    assert.ok(cluster.includes(name), name);
  assert.not(cluster.includes('pods'));
  const wide = await kubectl.run(['api-resources', '--api-group=devices.kubeedge.io', '-o', 'wide']);
  assert.match(wide, /^devices +dev +devices\.kubeedge\.io\/v1beta1 +true +Device +\[?[a-z ,]*create[ ,]/m);
  assert.match(await kubectl.run(['api-resources']), /^configmaps +cm +v1 +true +ConfigMap$/m);
  const versions = (await kubectl.run(['api-versions'])).split('\n');
  for (const version of ['v1', 'coordination.k8s.io/v1', 'events.k8s.io/v1', 'devices.kubeedge.io/v1beta1'])
    assert.ok(versions.includes(version), version);
  const { clientVersion, serverVersion } = JSON.parse(await kubectl.run(['version', '-o', 'json']));
  assert.is(Number.parseInt(clientVersion.minor, 10), minor);
  assert.is(serverVersion.major, '1');
  assert.match(serverVersion.gitVersion, /^v1\.\d+\.\d+/);
});

test('auth tells who may what', async ({ kubectl, minor }) => {
  assert.is((await kubectl.run(['auth', 'can-i', 'create', 'pods'])).trim(), 'yes');
  assert.is(
    (await kubectl.run(['auth', 'can-i', 'get', 'nodes', '--subresource=status'])).trim().slice(-3),
    'yes',
  );
  assert.match(
    await kubectl.run(['auth', 'can-i', '--list']),
    /^Resources +Non-Resource URLs +Resource Names +Verbs\n/,
  );
  // Before 1.28 it asks for a version that servers have no more; and those servers have not the one that it asks for now.
  const { serverVersion } = JSON.parse(await kubectl.run(['version', '-o', 'json']));
  if (minor >= 28 && Number.parseInt(serverVersion.minor, 10) >= 28)
    assert.match(await kubectl.run(['auth', 'whoami']), /^Username +\S+$/m);
});

test('what is not there is said so', async ({ kubectl }) => {
  assert.match(await kubectl.refusal(['get', 'cm', 'cherry']), /\(NotFound\): configmaps "cherry" not found/);
  assert.is(await kubectl.run(['get', 'cm', 'cherry', '--ignore-not-found']), '');
  assert.match(await kubectl.refusal(['get', 'cherries']), /doesn't have a resource type "cherries"/);
  assert.match(await kubectl.refusal(['get', '--raw', '/apis/none.edgecore.test/v1']), /NotFound/);
  assert.is(await kubectl.run(['get', '--raw', '/readyz']), 'ok');
});

test('wait waits for a value, for an end, and not for ever', async ({ kubectl, minor }) => {
  await kubectl.create(configMap('cherry', { colour: 'green' }));
  const ripe = kubectl.try(['wait', 'cm/cherry', '--for=jsonpath={.data.colour}=red', '--timeout=30s']);
  const gone = kubectl.try(['wait', 'cm/cherry', '--for=delete', '--timeout=30s']);
  await kubectl.run(['patch', 'cm', 'cherry', '-p', '{"data":{"colour":"red"}}']);
  assert.match((await ripe).stdout, /configmap\/cherry condition met/);
  if (minor >= 31) await kubectl.run(['wait', 'cm/cherry', '--for=create', '--timeout=30s']);
  await kubectl.run(['delete', 'cm', 'cherry']);
  assert.is((await gone).status, 0);
  assert.match(
    await kubectl.refusal(['wait', 'cm/apple', '--for=jsonpath={.data.colour}=blue', '--timeout=1s']),
    /timed out waiting/,
  );
});

test.run();
