import * as assert from 'uvu/assert';
import { until } from '../program.ts';
import { configMap, pod } from './core-objects.ts';
import { everyKubectl, type Version } from './versions.ts';

const test = everyKubectl('kubectl writes');

const DATA = 'jsonpath={.data}';

async function data({ kubectl }: Version, name: string): Promise<unknown> {
  return JSON.parse((await kubectl.value(['cm', name], '{.data}')) || '{}');
}

function managers({ kubectl }: Version, name: string): Promise<string> {
  const path = '{range .metadata.managedFields[*]}{.manager}:{.operation} {end}';
  return kubectl.run(['get', 'cm', name, '--show-managed-fields', '-o', `jsonpath=${path}`]);
}

/** Applies on the server, as a field manager. */
function applyAs({ kubectl }: Version, manager: string, object: unknown, ...args: readonly string[]) {
  const all = ['apply', '--server-side', '--field-manager', manager, '-f', '-', ...args];
  return kubectl.try(all, JSON.stringify(object));
}

/** The same for what must succeed.
 * @returns the data of the configmap then */
async function appliedAs(
  version: Version,
  ...rest: readonly [string, unknown, ...string[]]
): Promise<string> {
  const [manager, object, ...args] = rest;
  const { status, stdout, stderr } = await applyAs(version, manager, object, ...args, '-o', DATA);
  assert.is(status, 0, stderr);
  return stdout;
}

test('apply creates, leaves alone, configures, and takes back what it no longer says', async (version) => {
  const { kubectl } = version;
  const first = configMap('applied', { one: '1', two: '2' }, { labels: { a: 'b' } });
  assert.is(await kubectl.apply(first), 'configmap/applied created\n');
  assert.is(await kubectl.apply(first), 'configmap/applied unchanged\n');
  await kubectl.run(['patch', 'cm', 'applied', '-p', '{"data":{"three":"3"}}']);
  assert.is(await kubectl.apply(configMap('applied', { one: '11' })), 'configmap/applied configured\n');
  assert.equal(await data(version, 'applied'), { one: '11', three: '3' });
  assert.is(await kubectl.value(['cm', 'applied'], '{.metadata.labels}'), '');
});

test('a dry run changes nothing', async (version) => {
  const { kubectl } = version;
  await kubectl.create(configMap('dry', { one: '1' }));
  const changed = JSON.stringify(configMap('dry', { one: '2' }));
  const out = await kubectl.run(
    ['replace', '-f', '-', '--dry-run=server', '-o', 'jsonpath={.data.one}'],
    changed,
  );
  assert.is(out, '2');
  assert.match(await kubectl.run(['delete', 'cm', 'dry', '--dry-run=server']), /server dry run/);
  assert.match(await kubectl.create(configMap('dry-too'), '--dry-run=server'), /server dry run/);
  assert.equal(await data(version, 'dry'), { one: '1' });
  assert.match(await kubectl.refusal(['get', 'cm', 'dry-too']), /NotFound/);
});

test('server-side apply keeps what each manager owns, refuses conflicts and can be forced', async (version) => {
  assert.is(await appliedAs(version, 'first', configMap('shared', { one: '1' })), '{"one":"1"}');
  assert.is(await appliedAs(version, 'second', configMap('shared', { two: '2' })), '{"one":"1","two":"2"}');
  const refused = await applyAs(version, 'second', configMap('shared', { one: '11', two: '2' }));
  assert.is(refused.status, 1);
  assert.match(refused.stderr, /Apply failed with 1 conflict: conflict with "first": \.data\.one/);
  // What is forced no longer says two.
  const forced = configMap('shared', { one: '11' }, { labels: { one: '11' } });
  assert.is(await appliedAs(version, 'second', forced, '--force-conflicts'), '{"one":"11"}');
  const conflicts = configMap('shared', { one: '1' }, { labels: { one: '1' } });
  assert.match(
    (await applyAs(version, 'first', conflicts)).stderr,
    /2 conflicts: conflicts with "second":\n- \.data\.one\n- \.metadata\.labels\.one/,
  );
});

test('server-side apply of the same value makes a second owner', async (version) => {
  const same = configMap('owned', { one: '1' });
  await appliedAs(version, 'first', same);
  await appliedAs(version, 'second', same);
  // In which order is the server's to say.
  assert.equal((await managers(version, 'owned')).trim().split(' ').sort(), ['first:Apply', 'second:Apply']);
  assert.is(await appliedAs(version, 'first', configMap('owned')), '{"one":"1"}');
  assert.not.match(await appliedAs(version, 'second', configMap('owned')), /one/);
});

test('server-side apply takes over from client-side apply', async (version) => {
  const { kubectl } = version;
  await kubectl.apply(configMap('moved', { one: '1', two: '2' }));
  assert.is(await managers(version, 'moved'), 'kubectl-client-side-apply:Update ');
  await applyAs(version, 'kubectl', configMap('moved', { one: '1', two: '2' }));
  const after = await managers(version, 'moved');
  assert.match(after, /kubectl:Apply /);
  assert.not.match(after, /kubectl-client-side-apply/);
  await applyAs(version, 'kubectl', configMap('moved', { two: '2' }));
  assert.equal(await data(version, 'moved'), { two: '2' });
});

test('diff shows what apply would change, and says by its status whether', async ({ kubectl }) => {
  await kubectl.apply(configMap('compared', { one: '1' }));
  const next = JSON.stringify(configMap('compared', { one: '2' }));
  const { status, stdout } = await kubectl.try(['diff', '-f', '-'], next);
  assert.is(status, 1);
  assert.match(stdout, /^- {2}one: "1"\n\+ {2}one: "2"$/m);
  const same = JSON.stringify(configMap('compared', { one: '1' }));
  assert.equal(await kubectl.try(['diff', '-f', '-'], same), { status: 0, stdout: '', stderr: '' });
  const fresh = await kubectl.try(['diff', '--server-side', '-f', '-'], JSON.stringify(configMap('fresh')));
  assert.match(fresh.stdout, /^\+ {2}name: fresh$/m);
});

test('patch knows JSON and merge patches', async ({ kubectl }) => {
  await kubectl.create(
    configMap('patched', { one: '1', two: '2' }, { annotations: { 'edgecore.test/note': 'old' } }),
  );
  const json = (...operations: readonly unknown[]) => [
    'patch',
    'cm',
    'patched',
    '--type=json',
    '-p',
    JSON.stringify(operations),
  ];
  await kubectl.run(
    json(
      { op: 'test', path: '/data/one', value: '1' },
      { op: 'replace', path: '/metadata/annotations/edgecore.test~1note', value: 'new' },
      { op: 'move', from: '/data/two', path: '/data/three' },
    ),
  );
  assert.is(
    await kubectl.value(['cm', 'patched'], '{.metadata.annotations.edgecore\\.test/note} {.data}'),
    'new {"one":"1","three":"2"}',
  );
  assert.match(
    await kubectl.refusal(json({ op: 'test', path: '/data/one', value: '2' })),
    /rejected our request/,
  );
  assert.match(await kubectl.refusal(json({ op: 'remove', path: '/data/none' })), /rejected our request/);
  const merge = ['patch', 'cm', 'patched', '--type=merge', '-p'];
  const merged = await kubectl.run([...merge, '{"data":{"one":null,"four":"4"}}', '-o', DATA]);
  assert.equal(JSON.parse(merged), { three: '2', four: '4' });
  assert.match(await kubectl.run([...merge, '{"data":{"four":"4"}}']), /patched \(no change\)/);
  const stale = '{"metadata":{"resourceVersion":"1"},"data":{"four":"5"}}';
  assert.match(await kubectl.refusal([...merge, stale]), /\(Conflict\).*the object has been modified/);
});

test('a strategic merge patch merges lists by their key', async ({ kubectl }) => {
  await kubectl.create({
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: { name: 'keeper' },
    secrets: [{ name: 'one' }, { name: 'two' }],
  });
  const patched = async (...secrets: readonly unknown[]) => {
    const patch = JSON.stringify({ secrets });
    const names = 'jsonpath={.secrets[*].name}';
    return (await kubectl.run(['patch', 'sa', 'keeper', '-p', patch, '-o', names])).split(' ').sort();
  };
  assert.equal(await patched({ name: 'three' }), ['one', 'three', 'two']);
  assert.equal(await patched({ name: 'one', $patch: 'delete' }), ['three', 'two']);
  assert.equal(await patched({ $patch: 'replace' }, { name: 'four' }), ['four']);
  await kubectl.create(pod('patched'));
  const image = { spec: { containers: [{ name: 'main', image: 'edgecore.test/none:2' }] } };
  const first = 'jsonpath={.spec.containers[0].image}:{.spec.containers[0].name}';
  assert.is(
    await kubectl.run(['patch', 'pod', 'patched', '-p', JSON.stringify(image), '-o', first]),
    'edgecore.test/none:2:main',
  );
  await kubectl.run(['delete', 'pod', 'patched', '--wait=false']);
});

test('replace refuses an object that has changed since it was read', async (version) => {
  const { kubectl } = version;
  await kubectl.create(configMap('edited', { one: '1' }));
  const read = JSON.parse(await kubectl.run(['get', 'cm', 'edited', '-o', 'json']));
  await kubectl.run(['patch', 'cm', 'edited', '-p', '{"data":{"two":"2"}}']);
  const edited = { ...read, data: { one: '11' } };
  assert.match(
    await kubectl.refusal(['replace', '-f', '-'], edited),
    /\(Conflict\).*Operation cannot be fulfilled on configmaps "edited": the object has been modified/,
  );
  assert.equal(await data(version, 'edited'), { one: '1', two: '2' });
  const unconditional = JSON.stringify(configMap('edited', { one: '12' }));
  assert.is(await kubectl.run(['replace', '-f', '-', '-o', DATA], unconditional), '{"one":"12"}');
  assert.match(await kubectl.refusal(['replace', '-f', '-'], configMap('nowhere')), /\(NotFound\)/);
  const made = ['replace', '--force', '-f', '-', '-o', 'jsonpath={.metadata.uid}'];
  const uid = await kubectl.run(made, JSON.stringify(configMap('edited', { one: '13' })));
  assert.not.match(uid, new RegExp(`${read.metadata.uid}$`));
});

test('delete takes objects by name, by label and by file', async ({ kubectl }) => {
  const made = ['one', 'two', 'three', 'four'].map((name) =>
    configMap(`gone-${name}`, {}, name === 'one' ? {} : { labels: { gone: name === 'four' ? 'no' : 'yes' } }),
  );
  await kubectl.apply(...made);
  assert.match(await kubectl.run(['delete', 'cm', 'gone-one']), /^configmap "gone-one" deleted/);
  await kubectl.run(['delete', 'cm', '-l', 'gone=yes']);
  assert.is((await kubectl.run(['get', 'cm', '-l', 'gone', '-o', 'name'])).trim(), 'configmap/gone-four');
  await kubectl.run(['delete', '-f', '-'], JSON.stringify(made[3]));
  assert.match(await kubectl.refusal(['delete', 'cm', 'gone-four']), /configmaps "gone-four" not found/);
  assert.is(await kubectl.run(['delete', 'cm', 'gone-four', '--ignore-not-found']), '');
});

test('a finalizer holds an object until it is taken away, and delete waits for that', async ({ kubectl }) => {
  await kubectl.create(configMap('held', {}, { finalizers: ['edgecore.test/hold'] }));
  const gone = kubectl.try(['delete', 'cm', 'held', '--timeout=30s']);
  await until('it is being deleted', () => kubectl.value(['cm', 'held'], '{.metadata.deletionTimestamp}'));
  await kubectl.run(['patch', 'cm', 'held', '-p', '{"data":{"still":"there"}}']);
  const more = '[{"op":"add","path":"/metadata/finalizers/-","value":"edgecore.test/more"}]';
  assert.match(await kubectl.refusal(['patch', 'cm', 'held', '--type=json', '-p', more]), /finalizers/);
  const none = '[{"op":"remove","path":"/metadata/finalizers"}]';
  await kubectl.run(['patch', 'cm', 'held', '--type=json', '-p', none]);
  assert.match((await gone).stdout, /configmap "held" deleted/);
  assert.is((await gone).status, 0);
  assert.match(await kubectl.refusal(['get', 'cm', 'held']), /NotFound/);
});

test('what an object owns goes with it, after it or not at all, as its deletion says', async ({
  kubectl,
}) => {
  const cascades = ['background', 'foreground', 'orphan'];
  await kubectl.apply(
    ...cascades.map((cascade) => configMap(`owner-${cascade}`, {}, { labels: { own: 'er' } })),
  );
  const uids = (await kubectl.value(['cm', '-l', 'own=er'], '{.items[*].metadata.uid}')).split(' ');
  const owned = cascades.map((cascade, i) => {
    const owner = { apiVersion: 'v1', kind: 'ConfigMap', name: `owner-${cascade}`, uid: uids[i] };
    const ownerReferences = [{ ...owner, blockOwnerDeletion: true }];
    return configMap(`owned-${cascade}`, {}, { labels: { own: 'ed' }, ownerReferences });
  });
  await kubectl.apply(...owned);
  const left = () => kubectl.value(['cm', '-l', 'own=ed'], '{.items[*].metadata.name}');
  const remove = (cascade: string) =>
    kubectl.run(['delete', 'cm', `owner-${cascade}`, `--cascade=${cascade}`, '--timeout=30s']);
  await remove('orphan');
  await remove('foreground');
  assert.is(await left(), 'owned-background owned-orphan');
  await remove('background');
  await until('it goes too', async () => (await left()) === 'owned-orphan');
  assert.is(await kubectl.value(['cm', 'owned-orphan'], '{.metadata.ownerReferences}'), '');
});

test('label and annotate add, change when told to, and remove', async ({ kubectl }) => {
  await kubectl.create(configMap('tagged'));
  const label = (...args: readonly string[]) =>
    kubectl.run(['label', 'cm', 'tagged', ...args, '-o', 'jsonpath={.metadata.labels}']);
  await kubectl.run(['label', 'cm', 'tagged', 'a=1', 'edgecore.test/b=2']);
  assert.match(await kubectl.refusal(['label', 'cm', 'tagged', 'a=2']), /already has a value \(1\)/);
  assert.is(await label('a=2', 'edgecore.test/b-', '--overwrite'), '{"a":"2"}');
  assert.is((await kubectl.run(['label', 'cm', 'tagged', '--list'])).trim(), 'a=2');
  await label('a-');
  assert.is(await kubectl.value(['cm', 'tagged'], '{.metadata.labels}'), '');
  assert.match(
    await kubectl.refusal(['label', 'cm', 'tagged', 'a=not valid']),
    /invalid label value|a valid label/,
  );
  const note = ['annotate', 'cm', 'tagged', 'note=any text, even this'];
  assert.is(
    await kubectl.run([...note, '-o', 'jsonpath={.metadata.annotations.note}']),
    'any text, even this',
  );
  assert.match(
    await kubectl.refusal(['annotate', 'cm', 'tagged', 'note-', '--resource-version=1']),
    /the object has been modified/,
  );
});

test('what is invalid is refused with the field that is', async ({ kubectl, own }) => {
  const refused = (object: unknown, ...args: readonly string[]) =>
    kubectl.refusal(['create', '-f', '-', ...args], object);
  assert.match(await refused(configMap('Upper_Case')), /metadata\.name: Invalid value: "Upper_Case"/);
  assert.match(await refused(configMap('bad', { 'a/b': '' })), /data\[a\/b\]: Invalid value: "a\/b"/);
  assert.match(
    await refused(configMap('bad', {}, { labels: { 'a b': 'c' } })),
    /metadata\.labels: Invalid value: "a b"/,
  );
  const containers = [{ name: 'Main', image: '', imagePullPolicy: 'Sometimes' }];
  const faults = await refused(pod('bad', { containers, restartPolicy: 'Perhaps' }));
  assert.match(faults, /spec\.containers\[0\]\.name: Invalid value: "Main"/);
  assert.match(faults, /spec\.containers\[0\]\.image: Required value/);
  assert.match(faults, /spec\.containers\[0\]\.imagePullPolicy: Unsupported value: "Sometimes"/);
  assert.match(faults, /spec\.restartPolicy: Unsupported value: "Perhaps"/);
  const misspelt = [{ name: 'main', image: 'edgecore.test/none:1', imagee: '' }];
  assert.match(
    await refused(pod('bad', { containers: misspelt })),
    /strict decoding error: unknown field "spec\.containers\[0\]\.imagee"/,
  );
  assert.match(await refused({ ...configMap('bad'), kind: 'Nothing' }), /no matches for kind "Nothing"/);
  assert.match(
    await refused(configMap('bad'), '--namespace', own('none')),
    new RegExp(`namespaces "${own('none')}" not found`),
  );
  await kubectl.create(configMap('twice'));
  assert.match(await refused(configMap('twice')), /\(AlreadyExists\).*configmaps "twice" already exists/);
});

test('an unknown field is told or passed over when validation is turned down', async ({ kubectl }) => {
  const odd = { ...configMap('odd'), colour: 'red' };
  const warned = await kubectl.try(['create', '--validate=warn', '-f', '-'], JSON.stringify(odd));
  assert.is(warned.stdout, 'configmap/odd created\n');
  assert.match(warned.stderr, /Warning: unknown field "colour"/);
  const ignored = await kubectl.try(
    ['replace', '--validate=ignore', '-f', '-'],
    JSON.stringify({ ...odd, data: { one: '1' } }),
  );
  assert.equal(ignored, { status: 0, stdout: 'configmap/odd replaced\n', stderr: '' });
  assert.is(await kubectl.value(['cm', 'odd'], '{.colour}'), '');
});

test('a name is completed where only its beginning is given', async ({ kubectl }) => {
  const nameless = { ...configMap('x'), metadata: { generateName: 'made-' } };
  const made = await Promise.all([kubectl.create(nameless), kubectl.create(nameless)]);
  for (const line of made) assert.match(line, /^configmap\/made-[a-z0-9]{5} created\n$/);
  assert.is.not(made[0], made[1]);
});

test.run();
