import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import * as v from 'valibot';
import { faultLine, faultsOf } from '../../core/config-faults.ts';
import { bridgeConfig, bridgeConfigs, bridgeOptions } from './config.ts';

const test = suite('bridge config');
const least = { name: 'plant', address: 'tcp://plant.example:1883', topics: [{ pattern: 'line/#' }] };

function faultsIn(bridges: unknown): string[] {
  const result = v.safeParse(bridgeConfigs, bridges);
  return result.success ? [] : faultsOf(result.issues).map(faultLine);
}

const options = (more: object) => bridgeOptions(v.parse(bridgeConfig, { ...least, ...more }), 'edge-1.plant');

test('a name, an address and a map are enough', () => {
  assert.equal(faultsIn([least]), []);
  const { remote, maps, queue } = options({});
  assert.equal(
    [remote.host, remote.port, remote.tls, remote.clientId, remote.dialects, remote.cleanSession],
    ['plant.example', 1883, undefined, 'edge-1.plant', ['mqttv5', 'mqttv311-bridge', 'mqttv311'], false],
  );
  assert.equal(maps, [{ pattern: 'line/#', direction: 'out', qos: 2, localPrefix: '', remotePrefix: '' }]);
  assert.is(queue.count, 10_000);
});

test('an ssl:// address or the tls keys switch TLS on', () => {
  assert.is(options({ address: 'ssl://[::1]:8883' }).remote.host, '::1');
  const tls = { caFile: '/ca.crt', serverName: 'broker' };
  for (const more of [{ address: 'ssl://h:8883', tls }, { tls }])
    assert.equal(options(more).remote.tls, {
      caFile: '/ca.crt',
      certFile: undefined,
      keyFile: undefined,
      serverName: 'broker',
      insecure: false,
    });
});

const dialects: [object, string[]][] = [
  [{ protocol: 'mqttv5' }, ['mqttv5']],
  [{ protocol: 'mqttv311' }, ['mqttv311-bridge', 'mqttv311']],
  [{ protocol: 'mqttv311', tryPrivate: false }, ['mqttv311']],
  [{ tryPrivate: false }, ['mqttv5', 'mqttv311']],
];
for (const [more, wanted] of dialects) {
  test(`${JSON.stringify(more)} speaks ${wanted.join(', then ')}`, () =>
    assert.equal(options(more).remote.dialects, wanted));
}

test('every fault is named, and a password is not shown', () => {
  const bad = {
    name: 'a/b',
    address: 'http://x',
    keepAlive: 1,
    password: 5,
    queue: { count: 0 },
    surprise: true,
    topics: [{ pattern: 'a', direction: 'up' }, { pattern: 'a/#/b' }, { pattern: 'a', localPrefix: '+/' }],
  };
  const lines = faultsIn([bad]);
  for (const wanted of [
    '0.name = "a/b": want 1 to 64 letters, digits, dots, dashes, underscores',
    '0.address = "http://x": want tcp://HOST:PORT or ssl://HOST:PORT',
    '0.keepAlive = 1: want 5 to 65535 seconds',
    '0.password = "…": want string',
    '0.queue.count = 0: want a whole number of messages, 1 or more',
    '0.surprise = true: unknown key',
    '0.topics.0.direction = "up": want ("in" | "out" | "both")',
    '0.topics.1 = {"pattern":"a/#/b"}: "a/#/b" is no topic filter',
  ])
    assert.ok(lines.includes(wanted), `${wanted}\nnot in\n${lines.join('\n')}`);
});

test('names and filters are there once', () => {
  assert.match(faultsIn([least, least]).join(), /a name of its own/);
  const topics = [{ pattern: 'a' }, { pattern: 'a', remotePrefix: 'x/' }];
  assert.match(faultsIn([{ ...least, topics }]).join(), /0 and 1 both want "a"/);
  assert.match(faultsIn([{ ...least, topics: [] }]).join(), /at least one topic map/);
});

test.run();
