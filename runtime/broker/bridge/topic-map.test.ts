import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { doubledMaps, mapFault, type TopicMap, TopicMaps } from './topic-map.ts';

const map = (parts: Partial<TopicMap>): TopicMap => ({
  pattern: '#',
  direction: 'both',
  qos: 2,
  localPrefix: '',
  remotePrefix: '',
  ...parts,
});

/** Pattern, local prefix, remote prefix; pairs of a local topic and its remote name, undefined where there is none.
 * The first rows are mosquitto.conf's own table. */
const names: [string, string, string, [string | undefined, string | undefined][]][] = [
  ['pattern', 'L/', 'R/', [['L/pattern', 'R/pattern']]],
  ['pattern', 'L/', '', [['L/pattern', 'pattern']]],
  ['pattern', '', 'R/', [['pattern', 'R/pattern']]],
  ['pattern', '', '', [['pattern', 'pattern']]],
  ['', 'local', 'remote', [['local', 'remote']]],
  [
    '#',
    'local/topic/',
    'remote/topic/',
    [
      ['local/topic/a/b', 'remote/topic/a/b'],
      ['local/topic', 'remote/topic'],
      ['local/other', undefined],
      [undefined, 'remote/other'],
    ],
  ],
  ['+/t', 'a/', '', [['a/x/t', 'x/t']]],
  ['#', 'a/', '', [['a', undefined]]],
  [
    '#',
    '',
    'site/',
    [
      ['a', 'site/a'],
      ['$SYS/x', undefined],
      [undefined, 'other/a'],
    ],
  ],
  ['#', 'a', 'b', []],
];
for (const [pattern, localPrefix, remotePrefix, topics] of names) {
  const one = map({ pattern, localPrefix, remotePrefix });
  const maps = new TopicMaps([one]);
  for (const [local, remote] of topics) {
    test(`${localPrefix}|${pattern}|${remotePrefix}: ${local} is ${remote} there, and the other way round`, () => {
      assert.is(mapFault(one), undefined);
      if (local !== undefined) assert.is(maps.toRemote(local), remote);
      if (remote !== undefined) assert.is(maps.toLocal(remote), local);
    });
  }
}

test('the direction says which side is asked', () => {
  const maps = new TopicMaps([
    map({ pattern: 'o', direction: 'out', qos: 1 }),
    map({ pattern: 'i', direction: 'in', qos: 0, remotePrefix: 'r/' }),
    map({ pattern: 'b', direction: 'both', localPrefix: 'l/' }),
  ]);
  const filters = (list: TopicMaps['outgoing']): unknown[] => list.map(({ filter, qos }) => [filter, qos]);
  assert.equal(filters(maps.outgoing), [
    ['o', 1],
    ['l/b', 2],
  ]);
  assert.equal(filters(maps.incoming), [
    ['r/i', 0],
    ['b', 2],
  ]);
  assert.equal([maps.toRemote('i'), maps.toLocal('o')], [undefined, undefined]);
});

test('the first map that matches names a topic', () => {
  const maps = new TopicMaps([map({ pattern: 'a/b', remotePrefix: 'one/' }), map({ remotePrefix: 'two/' })]);
  assert.equal([maps.toRemote('a/b'), maps.toRemote('a/c')], ['one/a/b', 'two/a/c']);
});

const faults: [Partial<TopicMap>, RegExp][] = [
  [{ pattern: '', localPrefix: 'local' }, /both prefixes/],
  [{ pattern: '', remotePrefix: 'remote' }, /both prefixes/],
  [{ pattern: '' }, /both prefixes/],
  [{ localPrefix: 'a/+/' }, /without wildcards, not "a\/\+\/"/],
  [{ remotePrefix: '#' }, /without wildcards/],
  [{ localPrefix: 'a' }, /"a#" is no topic filter/],
  [{ pattern: 'a/#/b' }, /"a\/#\/b" is no topic filter/],
  [{ pattern: '$share/x/a' }, /is no topic filter/],
];
for (const [parts, wrong] of faults) {
  test(`${JSON.stringify(parts)} is refused`, () => assert.match(mapFault(map(parts)) ?? '', wrong));
}

test('two maps that ask one side for the same filter are named', () => {
  const maps = [
    map({ pattern: 'a', direction: 'out', remotePrefix: 'x/' }),
    map({ pattern: 'a', direction: 'in' }),
    map({ pattern: 'a', direction: 'both', remotePrefix: 'y/' }),
  ];
  assert.equal(doubledMaps(maps), [{ first: 0, second: 2, filter: 'a' }]);
  assert.equal(doubledMaps(maps.slice(0, 2)), []);
});

test.run();
