import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Device, DeviceModel } from '../../runtime/core/devices.ts';
import { parsePushes } from './methods.ts';

const model: DeviceModel = {
  metadata: { name: 'm' },
  spec: {
    properties: [
      { name: 'temperature', type: 'FLOAT' },
      { name: 'label', type: 'STRING' },
    ],
  },
};

function device(pushMethod: unknown, name = 'temperature', more: object = {}): Device {
  const good = { name: 'other', pushMethod: { mqtt: { address: 'tcp://b:1883', topic: 't' } } };
  const property = { name, pushMethod: pushMethod as Record<string, unknown>, ...more };
  return { metadata: { name: 'oven', namespace: 'hall' }, spec: { properties: [property, good] } };
}

const parsed = (pushMethod: unknown, name?: string) => {
  const { routes, faults } = parsePushes(device(pushMethod, name), model);
  assert.ok(routes.has('other'), 'the rest of the device works');
  return { routes: routes.get(name ?? 'temperature') ?? [], fault: faults.get(name ?? 'temperature') };
};

const own = { namespace: 'hall', device: 'oven', property: 'temperature', type: 'float' };
const influx = {
  influxdb2ClientConfig: { url: 'http://db:8086/', org: 'o', bucket: 'b' },
  influxdb2DataConfig: { measurement: 'm', tag: { hall: '1' }, fieldKey: 'f' },
};

const accepted: [string, unknown, unknown, object][] = [
  [
    'http',
    { http: { hostName: 'http://10.0.0.1', port: 8080, requestPath: '/in?a=1', timeout: 5 } },
    { method: 'http', url: 'http://10.0.0.1:8080', timeout: 5 },
    { path: '/in?a=1' },
  ],
  [
    'http without scheme and port, its timeout limited',
    { http: { hostName: 'collector', timeout: 5000 } },
    { method: 'http', url: 'http://collector', timeout: 60 },
    { path: '/' },
  ],
  [
    'mqtt',
    { mqtt: { address: 'tcp://10.0.0.1:1883', topic: 'a/b', qos: 1, retained: true } },
    { method: 'mqtt', address: 'tcp://10.0.0.1:1883' },
    { topic: 'a/b', qos: 1, retained: true },
  ],
  ['otel', { otel: { endpointURL: 'http://c:4318' } }, { method: 'otel', url: 'http://c:4318' }, {}],
  [
    'influxdb2',
    { dbMethod: { influxdb2: influx } },
    { method: 'influxdb2', url: 'http://db:8086', org: 'o', bucket: 'b' },
    { measurement: 'm', fieldKey: 'f', tag: { hall: '1' } },
  ],
  [
    'redis, whose pool is not needed',
    { dbMethod: { redis: { redisClientConfig: { addr: 'db:6379', db: 2, poolsize: 30, minIdleConns: 5 } } } },
    { method: 'redis', addr: 'db:6379', db: 2 },
    {},
  ],
  [
    'mysql',
    { dbMethod: { mysql: { mysqlClientConfig: { addr: '[::1]:3306', database: 'd', userName: 'u' } } } },
    { method: 'mysql', addr: '[::1]:3306', database: 'd', userName: 'u' },
    {},
  ],
  [
    'TDengine, spelled either way',
    { dbMethod: { tdengine: { tdEngineClientConfig: { addr: 'db:6041', dbname: 'd' } } } },
    { method: 'tdengine', addr: 'db:6041', dbName: 'd' },
    {},
  ],
];
for (const [name, pushMethod, target, detail] of accepted) {
  test(`${name} is understood`, () => {
    const { routes, fault } = parsed(pushMethod);
    assert.is(fault, undefined);
    assert.equal(routes, [{ target, route: { ...own, ...detail } }]);
  });
}

const refused: [unknown, string][] = [
  [{ http: { port: 80 } }, '.http.hostName: missing'],
  [{ http: { hostName: 'a b', port: 80 } }, '.http.hostName: a b: want HOST'],
  [{ http: { hostName: 'a', port: 0 } }, '.http.port: 0: want a whole number from 1 to 65535'],
  [{ http: { hostName: 'a', port: 70_000 } }, '.http.port: 70000: want a whole number from 1 to 65535'],
  [{ http: { hostName: 'a', requestPath: 'in' } }, '.http.requestPath: in: want /'],
  [{ http: { hostName: 'a', prot: 80 } }, '.http.prot: no setting of pushMethod.http'],
  [{ http: 'a' }, '.http: want settings in it'],
  [{ mqtt: { topic: 't' } }, '.mqtt.address: missing'],
  [{ mqtt: { address: 'http://b', topic: 't' } }, '.mqtt.address: http://b: want tcp://'],
  [{ mqtt: { address: 'tcp://b:1883' } }, '.mqtt.topic: missing'],
  [{ mqtt: { address: 'tcp://b:1883', topic: 'a/#' } }, '.mqtt.topic: a/#'],
  [{ mqtt: { address: 'tcp://b:1883', topic: 'a', qos: 3 } }, '.mqtt.qos: 3'],
  [{ otel: {} }, '.otel.endpointURL: missing'],
  [{ otel: { endpointURL: 'c:4318' } }, '.otel.endpointURL: c:4318: want http://'],
  [{ otel: { endpointURL: 'http://u:p@c:4318' } }, '.otel.endpointURL: no user and no password here'],
  [{ mqtt: { address: 'tcp://u:p@b:1883', topic: 't' } }, '.mqtt.address: no user and no password here'],
  [{ http: { hostName: 'http://u@h' } }, '.http.hostName: no user and no password here'],
  [{ coap: {} }, '.coap: no push method that is known here: there are http, mqtt, otel'],
  [{ dbMethod: {} }, '.dbMethod: want influxdb2'],
  [{ dbMethod: { kwdb: {} } }, '.dbMethod.kwdb: no database that is known here'],
  [
    { dbMethod: { influxdb2: { ...influx, influxdb2ClientConfig: { org: 'o', bucket: 'b' } } } },
    'ClientConfig.url',
  ],
  [
    { dbMethod: { influxdb2: { ...influx, influxdb2DataConfig: { measurement: 'm' } } } },
    'DataConfig.fieldKey',
  ],
  [
    {
      dbMethod: {
        influxdb2: { ...influx, influxdb2DataConfig: { measurement: 'm', fieldKey: 'f', tag: { a: 1 } } },
      },
    },
    'DataConfig.tag.a: 1: want a text',
  ],
  [
    { dbMethod: { redis: { redisClientConfig: { addr: 'db' } } } },
    'redisClientConfig.addr: db: want HOST:PORT',
  ],
  [{ dbMethod: { redis: {} } }, 'redisClientConfig.addr: missing'],
  [
    { dbMethod: { mysql: { mysqlClientConfig: { addr: 'db:1', userName: 'u' } } } },
    'mysqlClientConfig.database',
  ],
  [{ dbMethod: { TDEngine: { TDEngineClientConfig: { addr: 'db:99999', dbName: 'd' } } } }, 'addr: db:99999'],
  ['http://somewhere', 'want http, mqtt, otel or dbMethod in it'],
];
for (const [pushMethod, fault] of refused) {
  test(`${JSON.stringify(pushMethod).slice(0, 70)} is refused: ${fault}`, () => {
    const found = parsed(pushMethod);
    assert.equal(found.routes, []);
    assert.match(found.fault ?? '', 'spec.properties[0].pushMethod');
    assert.match(found.fault ?? '', fault);
  });
}

test('OpenTelemetry takes no texts', () => {
  assert.match(
    parsed({ otel: { endpointURL: 'http://c:4318' } }, 'label').fault ?? '',
    'the property is a STRING',
  );
});

test('a table that MySQL has no name for is told before anything is written', () => {
  const mysql = { mysqlClientConfig: { addr: 'db:3306', database: 'd', userName: 'u' } };
  assert.match(parsed({ dbMethod: { mysql } }, 'x'.repeat(60)).fault ?? '', 'names of 64 characters');
});

test('several methods of a property all count, and one that is wrong does not take the others with it', () => {
  const { routes, fault } = parsed({
    http: { hostName: 'a', port: 1 },
    otel: { endpointURL: '' },
    dbMethod: { redis: { redisClientConfig: { addr: 'db:6379' } } },
  });
  assert.equal(
    routes.map(({ target }) => target.method),
    ['http', 'redis'],
  );
  assert.match(fault ?? '', 'otel.endpointURL');
});

test('what is for mappers that detect anomalies is none of ours', () => {
  const { routes, fault } = parsed({ anomalyDetection: { anything: { at: ['all'] } } });
  assert.equal(routes, []);
  assert.is(fault, undefined);
});

test('the type is that of the desired value, as KubeEdge has it', () => {
  const push = { http: { hostName: 'a' } };
  const more = { desired: { value: '1', metadata: { type: 'double' } } };
  const { routes } = parsePushes(device(push, 'temperature', more), model);
  assert.is(routes.get('temperature')?.[0]?.route.type, 'double');
});

test.run();
