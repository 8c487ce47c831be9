import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { isPluginName, parseManifest } from './manifest.ts';

const test = suite('mapper.json');

const least = { name: 'acme-probe', version: '1.0.0', contract: 1, protocols: ['acme'] };

function refusal(change: Readonly<Record<string, unknown>>): string {
  const manifest = parseManifest(JSON.stringify({ ...least, ...change }));
  return 'refused' in manifest ? manifest.refused : 'it was not';
}

test('the rest has defaults', () => {
  assert.equal(parseManifest(JSON.stringify(least)), {
    ...least,
    main: 'main.mjs',
    description: '',
    memory: 32,
  });
});

for (const [what, change, wanted] of [
  ['another contract', { contract: 2 }, /contract = 2: this edgecore speaks 1; update edgecore/],
  ['an old contract', { contract: 0 }, /contract = 0: this edgecore speaks 1; install a newer version/],
  ['no protocol', { protocols: [] }, /protocols = \[\]: want at least one protocol/],
  [
    'a way out of the folder',
    { main: '../other.mjs' },
    /main = "..\/other.mjs": want the name of a .mjs file/,
  ],
  ['a name that is no folder', { name: 'Acme Probe' }, /name = "Acme Probe": want small letters/],
  ['too much memory', { memory: 4096 }, /memory = 4096: want a whole number of MB/],
  ['a key that nobody knows', { protocol: 'acme' }, /protocol = "acme": unknown key/],
  ['several faults at once', { version: 'one', memory: 1 }, /version = "one".*; memory = 1/],
] as const) {
  test(`${what} is refused by name`, () => assert.match(refusal(change), wanted));
}

test('what is missing and what is no JSON is said', () => {
  assert.is((parseManifest('{') as { refused: string }).refused.startsWith('mapper.json: not JSON'), true);
  assert.match((parseManifest('{}') as { refused: string }).refused, /name: is missing; version: is missing/);
  assert.match((parseManifest('[]') as { refused: string }).refused, /mapper.json: /);
});

test('a name is a folder’s, too', () => {
  assert.equal(['a', 'acme-probe-2', '.kept', '-a', 'a/b', ''].map(isPluginName), [
    true,
    true,
    false,
    false,
    false,
    false,
  ]);
});

test.run();
