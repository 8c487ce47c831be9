import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { stringify } from 'yaml';
import { FakeClock } from '../core/fake-clock.ts';
import { RuleFiles } from './rule-files.ts';
import { TestNode } from './test-host.ts';
import { ruleObject, say, temperature } from './test-rules.ts';

type Context = {
  folder: string;
  write: (name: string, ...documents: (string | object)[]) => string;
  files: RuleFiles;
};
const test = suite<Context>('files of rules');

test.before.each((context) => {
  const folder = mkdtempSync(join(tmpdir(), 'edgecore-rules-'));
  context.folder = folder;
  context.write = (name, ...documents) => {
    const texts = documents.map((document) =>
      typeof document === 'string' ? document : stringify(document),
    );
    writeFileSync(join(folder, name), texts.join('---\n'));
    return join(folder, name);
  };
  context.files = new RuleFiles({ path: folder, node: 'edge-1', clock: new FakeClock() });
});
test.after.each(({ folder }) => rmSync(folder, { recursive: true }));

const rule = (name: string, more: object = {}) =>
  ruleObject(name, { when: { all: [{ ...temperature, above: 70 }] }, do: say('hot'), ...more });
const idsOf = (files: RuleFiles): string[] => files.read().rules.map(({ id }) => id);

test('a folder is read by name, each file with several rules; other files are passed over', ({
  write,
  files,
}) => {
  write('b.yaml', rule('three'));
  write('a.yml', rule('one'), '', rule('two'));
  write('notes.txt', 'not: [yaml');
  assert.equal(idsOf(files), ['default/one', 'default/two', 'default/three']);
});

test('one file, and one that is not there yet', ({ write, folder }) => {
  const files = new RuleFiles({ path: join(folder, 'rules.yaml'), node: 'edge-1', clock: new FakeClock() });
  const { rules, refused } = files.read();
  assert.equal(rules, []);
  assert.match([...refused.values()][0]?.[0] ?? '', /ENOENT.*rules\.yaml/);
  write('rules.yaml', rule('one'));
  assert.equal(idsOf(files), ['default/one']);
});

const faults: [string, string | object, string][] = [
  ['no YAML', 'a: 1\nb: [\n', ':3: Flow sequence in block collection must be'],
  ['a key twice', 'a: 1\na: 2\n', ':2: Map keys must be unique'],
  [
    'a value, with its line',
    `${stringify(rule('hot'))}`.replace('above: 70', 'above: much'),
    ':11: rule hot: spec.when.all.0.above = "much": want number',
  ],
  [
    'a key that is not known',
    rule('hot', { evry: '1s' }),
    ':16: rule hot: spec.evry = "1s": unknown key: want one of nodeName',
  ],
  [
    'what is missing, with the line of its place',
    rule('hot', { when: {} }),
    'rule hot: spec.when: want either all or any',
  ],
  [
    'another node',
    rule('hot', { nodeName: 'edge-2' }),
    'spec.nodeName = "edge-2": want edge-1, or leave it out',
  ],
  ['a selector', rule('hot', { nodeSelector: { a: 'b' } }), 'spec.nodeSelector: want none in a file'],
  ['something else', 'kind: Pod\n', 'rule (without a name): apiVersion: is missing'],
];
for (const [what, text, wanted] of faults) {
  test(`${what} is refused, and what the file said before goes on`, ({ write, files }) => {
    const path = write('rules.yaml', rule('one'));
    assert.equal(idsOf(files), ['default/one']);
    write('rules.yaml', text);
    const { rules, refused } = files.read();
    assert.equal(
      rules.map(({ id }) => id),
      ['default/one'],
    );
    const lines = refused.get(path) ?? [];
    assert.ok(
      lines.some((line) => line.startsWith(path) && line.includes(wanted)),
      lines.join('\n'),
    );
  });
}

test('the line is that of the file, also in a later document', ({ write, files, folder }) => {
  write('rules.yaml', rule('one'), rule('two', { evry: '1s' }));
  const [line = ''] = files.read().refused.get(join(folder, 'rules.yaml')) ?? [];
  assert.match(line, /rules\.yaml:32: rule two: spec\.evry/);
});

test('a folder that cannot be looked into is named', ({ write, folder }) => {
  write('file', 'no folder');
  const path = join(folder, 'file', 'rules');
  const { refused } = new RuleFiles({ path, node: 'edge-1', clock: new FakeClock() }).read();
  assert.match(refused.get(path)?.[0] ?? '', /ENOTDIR.*rules/);
});

test('a rule that stands in two files is refused in the second', ({ write, files, folder }) => {
  write('a.yaml', rule('one'));
  write('b.yaml', rule('two'), rule('one'));
  const { rules, refused } = files.read();
  assert.equal(
    rules.map(({ id }) => id),
    ['default/one'],
  );
  assert.match(
    refused.get(join(folder, 'b.yaml'))?.[0] ?? '',
    /want another name: default\/one stands in .*a\.yaml, too/,
  );
});

test('a bad file does not touch the others, and one that goes takes its rules along', ({
  write,
  files,
  folder,
}) => {
  write('a.yaml', rule('one'));
  write('b.yaml', 'kind: [');
  assert.equal(idsOf(files), ['default/one']);
  rmSync(join(folder, 'a.yaml'));
  assert.equal(idsOf(files), []);
});

test('a running node follows the folder', async ({ write, folder }) => {
  write('rules.yaml', rule('one'));
  const node = new TestNode({ path: folder });
  node.host.start();
  await node.report('temperature', '71');
  assert.equal(node.done, ['hot 71']);
  write('rules.yaml', rule('one'), rule('two', { do: say('two') }));
  await node.clock.advance(6000);
  assert.equal(
    node.host.list().map(({ id, origin }) => `${origin} ${id}`),
    ['file default/one', 'file default/two'],
  );
  await node.report('temperature', '80');
  assert.equal(node.done, ['hot 71', 'two 80'], 'the one that was not changed goes on as it was');
  const path = write('rules.yaml', 'kind: [');
  await node.clock.advance(6000);
  const states = node.host.list().map(({ id, state }) => `${id} ${state}`);
  assert.equal(states, ['default/one active', 'default/two active', `${path} refused`]);
  write('rules.yaml', rule('two', { do: say('two') }));
  await node.clock.advance(6000);
  assert.equal(
    node.host.list().map(({ id, state }) => `${id} ${state}`),
    ['default/two active'],
  );
  await node.host.stop();
  assert.is(node.clock.pending, 0);
});

test.run();
