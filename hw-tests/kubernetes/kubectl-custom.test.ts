import * as assert from 'uvu/assert';
import { until } from '../program.ts';
import { lamp, lampDefinition } from './lamps.ts';
import { everyKubectl, type Version } from './versions.ts';

const test = everyKubectl('kubectl and custom resources');

function applyAs({ kubectl }: Version, manager: string, object: unknown, output: string): Promise<string> {
  const args = ['apply', '--server-side', '--field-manager', manager, '-f', '-', '-o', output];
  return kubectl.run(args, JSON.stringify(object));
}

test('a definition is established, serves its kind, and takes the objects with it', async (version) => {
  const { kubectl, group, minor } = version;
  const own = `v${minor}.${group}`;
  const candles = `candles.${own}`;
  const define = async (): Promise<void> => {
    assert.match(await kubectl.apply(lampDefinition(own, 'candle')), /candles\.v\d+\..* created/);
    await kubectl.run(['wait', `crd/${candles}`, '--for=condition=Established', '--timeout=30s']);
    await until('it serves', async () => (await kubectl.try(['get', candles])).status === 0);
  };
  await define();
  await kubectl.create({ ...lamp(own, 'short-lived'), kind: 'Candle' });
  assert.is(await kubectl.value(['crd', candles], '{.status.storedVersions}'), '["v1"]');
  assert.match(await kubectl.run(['get', 'crd', candles]), /^NAME +CREATED AT\ncandles\.\S+ +20\S+Z\n$/);
  await kubectl.run(['delete', 'crd', candles, '--timeout=30s']);
  await until('it serves no more', async () => (await kubectl.try(['get', candles])).status !== 0);
  await define();
  assert.is(await kubectl.run(['get', candles, '-A', '-o', 'name']), '');
  await kubectl.run(['delete', 'crd', candles, '--wait=false']);
});

test('a definition that is not sound is refused with its faults', async ({ kubectl, group, minor }) => {
  const own = `bad${minor}.${group}`;
  const sound = lampDefinition(own);
  const refused = (object: unknown) => kubectl.refusal(['create', '--validate=false', '-f', '-'], object);
  assert.match(
    await refused({ ...sound, metadata: { name: `lights.${own}` } }),
    /metadata\.name: Invalid value: .*must be spec\.names\.plural\+"\."\+spec\.group/,
  );
  const [version] = sound.spec.versions;
  const untyped = { openAPIV3Schema: { type: 'object', properties: { spec: { properties: {} } } } };
  const versions = [{ ...version, schema: untyped }];
  assert.match(
    await refused({ ...sound, spec: { ...sound.spec, versions } }),
    /spec\.(versions\[0\]\.schema|validation)\.openAPIV3Schema\.properties\[spec\]\.type: Required value/,
  );
  const unstored = [{ ...version, storage: false }];
  assert.match(
    await refused({ ...sound, spec: { ...sound.spec, versions: unstored } }),
    /spec\.versions: Invalid value: .*must have exactly one version marked as storage version/,
  );
});

test('get shows the columns of the definition, by short name and by category', async ({ kubectl, group }) => {
  await kubectl.create(lamp(group, 'shown'));
  const table = /^NAME +COLOUR +LIT\nshown +red +\n/;
  assert.match(await kubectl.run(['get', `lamps.${group}`, 'shown']), table);
  assert.match(await kubectl.run(['get', 'lmp', 'shown']), table);
  assert.match(
    await kubectl.run(['get', 'lamp', 'shown', '-o', 'wide']),
    /COLOUR +LIT +LEVEL\nshown +red +50\n/,
  );
  assert.match(
    await kubectl.run(['get', 'every-lamp', '-o', 'name']),
    new RegExp(`^lamp\\.${group}/shown$`, 'm'),
  );
  assert.match(
    await kubectl.run(['explain', 'lamp.spec']),
    /colour\t<string> -required-\n(.*\n)? +The colour that it has/,
  );
  assert.match(await kubectl.run(['describe', 'lmp', 'shown']), /Spec:\n +Colour: +red\n +Level: +50\n/);
});

test('values are defaulted, bounded and pruned as the schema says', async ({ kubectl, group }) => {
  const refused = (spec: unknown, ...args: readonly string[]) =>
    kubectl.refusal(['create', '-f', '-', ...args], lamp(group, 'bad', spec));
  const faults = await refused({ colour: 'blue', level: 101, wires: [{ width: 1 }] });
  assert.match(faults, /spec\.colour: Unsupported value: "blue": supported values: "red", "green"/);
  assert.match(faults, /spec\.level: Invalid value: 101: .*less than or equal to 100/);
  assert.match(faults, /spec\.wires\[0\]\.name: Required value/);
  assert.match(
    await refused({ level: 'high' }, '--validate=false'),
    /spec\.level: Invalid value: "string": .*type integer/,
  );
  assert.match(await refused({}), /spec\.colour: Required value/);
  assert.match(
    await refused({ colour: 'red', shade: 1 }),
    /strict decoding error: unknown field "spec\.shade"/,
  );
  const twice = [{ name: 'a' }, { name: 'a' }];
  assert.match(await refused({ colour: 'red', wires: twice }), /spec\.wires\[1\]: Duplicate value/);
  await kubectl.create(lamp(group, 'pruned', { colour: 'red', shade: 1 }), '--validate=false');
  assert.is(await kubectl.value(['lmp', 'pruned'], '{.spec}'), '{"colour":"red","level":50}');
});

test('the status is a part of its own, and only the spec counts in generation', async ({
  kubectl,
  group,
}) => {
  const state = ['-o', 'jsonpath={.status.lit} {.spec.colour} {.metadata.generation}'];
  const given = { ...lamp(group, 'shining'), status: { lit: true } };
  assert.is(await kubectl.create(given, ...state), ' red 1');
  const patched = (patch: unknown, ...args: readonly string[]) =>
    kubectl.run(['patch', 'lmp', 'shining', '--type=merge', '-p', JSON.stringify(patch), ...state, ...args]);
  const both = { status: { lit: true }, spec: { colour: 'green' } };
  assert.is(await patched(both, '--subresource=status'), 'true red 1');
  assert.is(await patched({ ...both, status: { lit: false } }), 'true green 2');
  assert.is(await kubectl.run(['label', 'lmp', 'shining', 'a=b', ...state]), 'true green 2');
  const wrong = ['--subresource=status', '--type=merge', '-p', '{"status":{"lit":"yes"}}'];
  assert.match(
    await kubectl.refusal(['patch', 'lmp', 'shining', ...wrong]),
    /status\.lit: Invalid value: "string": .*type boolean/,
  );
});

test('wait follows the conditions of a custom resource', async ({ kubectl, group }) => {
  await kubectl.create(lamp(group, 'awaited'));
  const lit = kubectl.try(['wait', 'lmp/awaited', '--for=condition=Lit', '--timeout=30s']);
  const patch = JSON.stringify({ status: { conditions: [{ type: 'Lit', status: 'True' }] } });
  await kubectl.run(['patch', 'lmp', 'awaited', '--subresource=status', '--type=merge', '-p', patch]);
  const { status, stdout } = await lit;
  assert.is(status, 0);
  assert.match(stdout, /condition met/);
});

test('a custom resource takes JSON and merge patches, and no strategic one', async ({ kubectl, group }) => {
  await kubectl.create(lamp(group, 'patched', { colour: 'red', tags: ['a'] }));
  const patch = (type: string, body: unknown) => [
    'patch',
    'lmp',
    'patched',
    `--type=${type}`,
    '-p',
    JSON.stringify(body),
  ];
  const state = ['-o', 'jsonpath={.spec.tags} {.spec.level}'];
  const longer = patch('json', [{ op: 'add', path: '/spec/tags/-', value: 'b' }]);
  assert.is(await kubectl.run([...longer, ...state]), '["a","b"] 50');
  const other = patch('merge', { spec: { tags: ['c'], level: 7 } });
  assert.is(await kubectl.run([...other, ...state]), '["c"] 7');
  assert.match(
    await kubectl.refusal(patch('strategic', { spec: { level: 8 } })),
    /strategic-merge-patch\+json is not supported/,
  );
  assert.match(
    await kubectl.refusal(patch('merge', { spec: { colour: 'blue' } })),
    /spec\.colour: Unsupported value/,
  );
});

test('managers own their entries of a list that has keys', async (version) => {
  const { group } = version;
  const wires = (...names: readonly string[]) =>
    lamp(group, 'wired', { colour: 'red', wires: names.map((name) => ({ name })) });
  const wired = async (manager: string, ...names: readonly string[]) =>
    (await applyAs(version, manager, wires(...names), 'jsonpath={.spec.wires[*].name}')).split(' ').sort();
  await wired('first', 'a', 'b');
  assert.equal(await wired('second', 'c'), ['a', 'b', 'c']);
  assert.equal(await wired('first', 'b'), ['b', 'c']);
});

test('apply takes back to its default what it no longer says', async ({ kubectl, group }) => {
  await kubectl.apply(lamp(group, 'plain', { colour: 'red', level: 1 }));
  await kubectl.apply(lamp(group, 'plain', { colour: 'red' }));
  assert.is(await kubectl.value(['lmp', 'plain'], '{.spec.level}'), '50');
});

test('get -w shows rows as they change', async ({ kubectl, group }) => {
  await kubectl.create(lamp(group, 'watched', { colour: 'red' }));
  const rows: string[] = [];
  const watch = kubectl.follow(['get', 'lmp', 'watched', '-w', '--no-headers'], (line) => rows.push(line));
  try {
    await until('the row that is', () => rows.some((row) => /^watched +red/.test(row)));
    await kubectl.run(['patch', 'lmp', 'watched', '--type=merge', '-p', '{"spec":{"colour":"green"}}']);
    await until('the row that comes', () => rows.some((row) => /^watched +green/.test(row)));
  } finally {
    watch.kill();
  }
});

test('a watch from before what is remembered is told that it expired', async ({
  kubectl,
  namespace,
  group,
}) => {
  const path = `/apis/${group}/v1/namespaces/${namespace}/lamps`;
  const query = 'watch=true&resourceVersion=1&timeoutSeconds=1';
  const [line = ''] = (await kubectl.run(['get', '--raw', `${path}?${query}`])).split('\n');
  const { type, object } = JSON.parse(line);
  assert.is(type, 'ERROR');
  assert.is(object.code, 410);
  assert.is(object.reason, 'Expired');
  assert.match(object.message, /too old resource version/);
});

test.run();
