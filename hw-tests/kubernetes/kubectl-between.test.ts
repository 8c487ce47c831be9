import * as assert from 'uvu/assert';
import { until } from '../program.ts';
import { configMap } from './core-objects.ts';
import { lamp } from './lamps.ts';
import { everyKubectl } from './versions.ts';

const test = everyKubectl('kubectl of the versions between', { whom: 'between' });

const DATA = ['-o', 'jsonpath={.data}'];

test('apply, patch, get, describe, delete', async ({ kubectl }) => {
  assert.is(await kubectl.apply(configMap('kept', { one: '1', two: '2' })), 'configmap/kept created\n');
  assert.is(await kubectl.apply(configMap('kept', { one: '1' })), 'configmap/kept configured\n');
  const patch = ['patch', 'cm', 'kept', '-p', '{"data":{"three":"3"}}', ...DATA];
  assert.is(await kubectl.run(patch), '{"one":"1","three":"3"}');
  assert.match(await kubectl.run(['get', 'cm', 'kept']), /^NAME +DATA +AGE\nkept +2 +\w+\n$/);
  assert.match(await kubectl.run(['describe', 'cm', 'kept']), /^Name: +kept\n[\s\S]*one:\n----\n1\n/);
  assert.match(await kubectl.run(['delete', 'cm', 'kept']), /^configmap "kept" deleted/);
  assert.match(await kubectl.refusal(['get', 'cm', 'kept']), /\(NotFound\): configmaps "kept" not found/);
});

test('apply on the server merges, and refuses conflicts', async ({ kubectl }) => {
  const as = ['apply', '--server-side', '-f', '-', '--field-manager'];
  await kubectl.run([...as, 'first'], JSON.stringify(configMap('shared', { one: '1' })));
  const second = JSON.stringify(configMap('shared', { two: '2' }));
  assert.is(await kubectl.run([...as, 'second', ...DATA], second), '{"one":"1","two":"2"}');
  assert.match(
    await kubectl.refusal([...as, 'third'], configMap('shared', { one: '11' })),
    /Apply failed with 1 conflict: conflict with "first": \.data\.one/,
  );
});

test('get -w shows the rows of a custom resource as they change', async ({ kubectl, group }) => {
  await kubectl.create(lamp(group, 'watched', { colour: 'red' }));
  const rows: string[] = [];
  const watch = kubectl.follow(['get', 'lmp', '-w'], (line) => rows.push(line));
  try {
    await until('the row that is', () => rows.some((row) => /^watched +red/.test(row)));
    assert.match(rows[0] ?? '', /^NAME +COLOUR +LIT/);
    const lit = ['--subresource=status', '--type=merge', '-p', '{"status":{"lit":true}}'];
    await kubectl.run(['patch', 'lmp', 'watched', ...lit]);
    await until('the row that comes', () => rows.some((row) => /^watched +red +true/.test(row)));
  } finally {
    watch.kill();
  }
});

test.run();
