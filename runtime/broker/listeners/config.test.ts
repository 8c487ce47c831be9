import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as v from 'valibot';
import { faultLine, faultsOf } from '../../core/config-faults.ts';
import { type ListenerConfig, listenerConfig, placeOf, tcpListener } from './config.ts';

function faultsIn(listener: unknown): string[] {
  const result = v.safeParse(listenerConfig, listener);
  return result.success ? [] : faultsOf(result.issues).map(faultLine);
}

const files = { tlsCertFile: 'server.crt', tlsPrivateKeyFile: 'server.key' };
const address = '0.0.0.0:8883';

const good: Record<string, unknown>[] = [
  { type: 'tcp', address: '[::1]:1884' },
  { type: 'tls', address, ...files },
  { type: 'tls', address, ...files, tlsCaFile: 'ca.crt', requireCertificate: true, packetBytes: 4096 },
  { type: 'unix', path: '/run/mqtt.sock', mode: '660', allowAnonymous: false },
  { type: 'websocket' },
  { type: 'websocket', path: '/a/b-c', origins: ['*', 'https://hmi.example:8443'] },
];

for (const listener of good) {
  test(`${JSON.stringify(listener)} is accepted, with the rules of its kind`, () => {
    const parsed: ListenerConfig = v.parse(listenerConfig, listener);
    for (const [key, value] of Object.entries(listener)) assert.equal(Reflect.get(parsed, key), value);
    assert.ok(parsed.maxConnections > 0 && parsed.maxPending > 0 && parsed.connectionsPerSecond > 0);
  });
}

const bad: [Record<string, unknown>, string[]][] = [
  [{}, ['type: is missing']],
  [{ type: 'pigeon' }, ['type = "pigeon": want ("tcp" | "tls" | "unix" | "websocket")']],
  [
    { type: 'tcp', address: 'nowhere', maxConnections: 0, connectionsPerSecond: 1.5, surprise: 1 },
    [
      'address = "nowhere": want HOST:PORT',
      'maxConnections = 0: want a whole number of connections, 1 or more',
      'connectionsPerSecond = 1.5: want a whole number of connections, 1 or more',
      'surprise = 1: unknown key',
    ],
  ],
  [
    { type: 'tls', address, requireCertificate: true },
    [
      'tlsCertFile: is missing',
      'tlsPrivateKeyFile: is missing',
      'tlsCaFile: want the CA of the clients, as requireCertificate is set',
    ],
  ],
  [
    { type: 'unix', path: 'mqtt.sock', mode: 660 },
    ['path = "mqtt.sock": want an absolute path', 'mode = 660: want octal digits in quotes, "0660"'],
  ],
  [
    { type: 'unix', path: '/x'.repeat(60) },
    [`path = "${'/x'.repeat(60).slice(0, 79)}…: want a path of at most 107 bytes`],
  ],
  [
    { type: 'websocket', path: 'mqtt', origins: ['hmi.example'], packetBytes: 2 ** 28 },
    [
      'path = "mqtt": want a path such as /mqtt',
      'origins.0 = "hmi.example": want an origin, https://HOST[:PORT], or *',
      'packetBytes = 268435456: want at most 268435455 bytes',
    ],
  ],
];

for (const [listener, lines] of bad) {
  test(`${JSON.stringify(listener).slice(0, 60)}: every fault is named`, () =>
    assert.equal(faultsIn(listener), lines));
}

test('the listener of mqttServerInternal takes as many as the broker', () => {
  assert.equal(faultsIn(tcpListener('127.0.0.1:1883', 5000)), []);
  assert.is(tcpListener('127.0.0.1:1883', 5000).maxConnections, 5000);
});

test('a port is one place for TCP and TLS, a path of its own for each of the others', () => {
  const place = (listener: unknown): string | undefined => placeOf(listener)?.place;
  assert.is(place({ type: 'tcp', address: '[::]:1' }), place({ type: 'tls', address: '[::]:1' }));
  assert.is.not(place({ type: 'unix', path: '/mqtt' }), place({ type: 'websocket', path: '/mqtt' }));
  for (const broken of [undefined, null, 'text', {}, { type: 'tcp' }, { type: 'pigeon' }]) {
    assert.is(place(broken), undefined);
  }
});

test.run();
