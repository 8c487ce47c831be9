import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as v from 'valibot';
import { faultLine, faultsOf } from '../core/config-faults.ts';
import { type EventBusConfig, eventBusConfig } from './config.ts';
import { externalBroker, externalLinks } from './external.ts';

function faultsIn(keys: object): string[] {
  const result = v.safeParse(eventBusConfig, keys);
  return result.success ? [] : faultsOf(result.issues).map(faultLine);
}

const parse = (keys: object): EventBusConfig => v.parse(eventBusConfig, keys);
const external = 'tcp://10.0.0.5:1883';

test('nothing has to be said', () => assert.equal(faultsIn({}), []));

const ADDRESS =
  'mqttMode 1 and 2 want the address of the external broker, another one than mqttServerInternal';
const wrong: [string, object, string][] = [
  [
    'a mode that there is not',
    { mqttMode: 3 },
    'mqttMode = 3: want 0 (the broker in edgecore), 1 (both) or 2 (an external one)',
  ],
  ['mode 1 without an address', { mqttMode: 1 }, `mqttServerExternal = "": ${ADDRESS}`],
  ['mode 2 without an address', { mqttMode: 2 }, `mqttServerExternal = "": ${ADDRESS}`],
  [
    'mode 1 with itself as the external broker',
    { mqttMode: 1, mqttServerExternal: 'tcp://127.0.0.1:1883' },
    `mqttServerExternal = "tcp://127.0.0.1:1883": ${ADDRESS}`,
  ],
  [
    'an address of another kind',
    { mqttServerExternal: 'ws://x:80' },
    'mqttServerExternal = "ws://x:80": want tcp://HOST:PORT or ssl://HOST:PORT',
  ],
  [
    'two clients of one name',
    { mqttSubClientID: 'edge', mqttPubClientID: 'edge' },
    'mqttSubClientID = "edge": want another id than mqttPubClientID: the two connections would end each other',
  ],
  [
    'an unknown key of TLS',
    { eventBusTLS: { tlsMqttCaFile: '/ca' } },
    'eventBusTLS.tlsMqttCaFile = "/ca": unknown key',
  ],
];
for (const [what, keys, line] of wrong) {
  test(`${what} is named`, () => assert.equal(faultsIn(keys), [line]));
}

test('bridges belong to the internal broker', () => {
  const bridges = [{ name: 'a', address: external, topics: [{ pattern: 'x' }] }];
  assert.equal(faultsIn({ bridges }), []);
  assert.match(
    faultsIn({ mqttMode: 2, mqttServerExternal: external, bridges }).join(),
    /^bridges = .*: bridges are the internal broker's, which mqttMode 2 switches off$/,
  );
});

test('the external broker is dialled by two clients, whose names are KubeEdge’s unless they are given', () => {
  const config = parse({ mqttMode: 1, mqttServerExternal: external, mqttUsername: 'edge' });
  const links = externalLinks(config, () => 0.000_000_123_4);
  assert.equal(
    links.map(({ remote }) => [remote.clientId, remote.host, remote.port, remote.username, remote.tls]),
    ['pub', 'sub'].map((kind) => [`hub-client-${kind}-0000001234`, '10.0.0.5', 1883, 'edge', undefined]),
  );
  const named = parse({ ...config, mqttPubClientID: 'out', mqttSubClientID: 'in' });
  assert.equal(
    externalLinks(named, () => 0).map(({ remote }) => remote.clientId),
    ['out', 'in'],
  );
  assert.equal(
    externalLinks(parse({}), () => 0),
    [],
  );
});

test('TLS is on when the address or the switch says so; only the switch brings KubeEdge’s files', () => {
  const tls = (keys: object) =>
    externalLinks(parse({ mqttMode: 2, mqttServerExternal: external, ...keys }), () => 0)[0]?.remote.tls;
  assert.is(tls({ mqttServerExternal: 'ssl://10.0.0.5:8883' })?.caFile, undefined);
  assert.ok(tls({ mqttServerExternal: 'ssl://10.0.0.5:8883' }));
  assert.is(tls({ eventBusTLS: { enable: true } })?.caFile, '/etc/kubeedge/ca/rootCA.crt');
});

test('the external broker is published and subscribed to with QoS 1, whatever was said', () => {
  const log: unknown[] = [];
  const broker = externalBroker((name) => ({
    publish: ({ topic, qos, retain }) => log.push([name, topic, qos, retain]),
    listen: (filter, qos) => {
      log.push([name, filter, qos]);
      return () => log.push([name, filter, 'end']);
    },
  }));
  broker.publish({ topic: 't', payload: Buffer.alloc(0), qos: 2, retain: true });
  broker.subscribe('f', () => {})();
  assert.equal(log, [
    ['eventbus/pub', 't', 1, false],
    ['eventbus/sub', 'f', 1],
    ['eventbus/sub', 'f', 'end'],
  ]);
});

test.run();
