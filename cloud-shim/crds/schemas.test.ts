import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parse } from 'yaml';
import { prune } from '../mini-master/schema/prune.ts';
import type { Schema } from '../mini-master/schema/schema.ts';
import { validateSchema } from '../mini-master/schema/validate.ts';

type Definition = {
  spec: {
    names: { plural: string; shortNames?: string[] };
    versions: { schema: { openAPIV3Schema: Schema } }[];
  };
};
type Kind = (typeof own)[number];

const own = [
  'devicemodels',
  'devices',
  'devicestatuses',
  'localrules',
  'nodeupgradejobs',
  'imageprepulljobs',
] as const;
const definitions = new Map(
  own.map((kind) => {
    const text = readFileSync(new URL(`${kind}.yaml`, import.meta.url), 'utf8');
    return [kind, parse(text) as Definition];
  }),
);
const schemaOf = (kind: Kind): Schema =>
  definitions.get(kind)?.spec.versions[0]?.schema.openAPIV3Schema ?? {};
const model = (...properties: object[]) => ({ metadata: { name: 'm' }, spec: { properties } }) as never;
const device = (...properties: object[]) => ({ metadata: { name: 'd' }, spec: { properties } }) as never;

const over70 = { device: 'plc', property: 'temperature', above: 70 };
const rule = (more: object = {}) =>
  ({
    metadata: { name: 'r' },
    spec: { nodeName: 'n', when: { all: [over70] }, do: [{ publish: { topic: 'a' } }], ...more },
  }) as never;

const job = (spec: object) => ({ metadata: { name: 'j' }, spec }) as never;

/** Objects in the form that KubeEdge's documentation and mappers use. */
const accepted: [Kind, never][] = [
  ['devicemodels', model()],
  [
    'devicemodels',
    model({
      name: 'temp',
      description: 't',
      type: 'INT',
      accessMode: 'ReadWrite',
      minimum: '1',
      maximum: '100',
      unit: 'degree celsius',
    }),
  ],
  [
    'devicemodels',
    model({ name: 'x', type: 'FLOAT', minimum: '', maximum: '-1.5e3' }, { name: 'y', type: 'STREAM' }),
  ],
  ['devices', device()],
  [
    'devices',
    device({
      name: 'temp',
      collectCycle: 10_000,
      reportCycle: 10_000,
      reportToCloud: true,
      desired: { value: '15', metadata: { timestamp: '1', type: 'int' } },
      visitors: { protocolName: 'modbus', configData: { register: 'HoldingRegister', offset: 2, limit: 1 } },
      pushMethod: {
        mqtt: { address: 'tcp://127.0.0.1:1883', topic: 'temp', qos: 0, retained: false },
        dbMethod: {
          influxdb2: { influxdb2DataConfig: { measurement: 'm', tag: { unit: 'C' }, fieldKey: 't' } },
        },
      },
    }),
  ],
  ['localrules', rule()],
  [
    'localrules',
    rule({
      when: {
        any: [
          { ...over70, above: 70.5, hysteresis: 5 },
          { topic: 'a/b', path: 'x', equals: true },
          { topic: 'a/b', notEquals: 5.5 },
          { topic: 'a/b', changes: true },
          { topic: 'a/b', noValueFor: '1.5m' },
        ],
      },
      for: '3s',
      every: '500ms',
      trigger: 'level',
      do: [
        { write: { device: 'shop/plc', property: 'switch', value: true } },
        { publish: { topic: 'a', payload: '{{value}}', qos: 1, retain: true } },
      ],
      otherwise: [
        {
          http: {
            url: 'https://x/y',
            method: 'PUT',
            headers: { a: 'b' },
            body: '{}',
            timeout: '5s',
            durable: true,
          },
        },
      ],
    }),
  ],
  ['devicestatuses', { metadata: { name: 'd' }, spec: {}, status: { state: 'ok', twins: [{}] } } as never],
  [
    'nodeupgradejobs',
    job({
      version: 'v1.22.0-beta.1',
      image: 'kubeedge/installation-package',
      imageDigestGatter: { arm64: 'sha256:0738', registryAPI: { host: 'https://r', token: 't' } },
      timeoutSeconds: 300,
      nodeNames: ['a'],
      labelSelector: { matchLabels: { a: 'b' }, matchExpressions: [{ key: 'a', operator: 'Exists' }] },
      concurrency: 2,
      checkItems: ['cpu', 'mem', 'disk'],
      failureTolerate: '0.25',
      requireConfirmation: true,
    }),
  ],
  [
    'imageprepulljobs',
    job({
      imagePrePullTemplate: {
        images: ['a:1'],
        nodeNames: ['a'],
        checkItems: ['disk'],
        failureTolerate: '.5',
        concurrency: 1,
        timeoutSeconds: 0,
        imageSecrets: 'default/s',
        retryTimes: 1,
      },
    }),
  ],
];
for (const [kind, object] of accepted) {
  test(`${kind}: ${JSON.stringify(object).slice(0, 70)} is taken as it is`, () => {
    assert.equal(validateSchema(object, schemaOf(kind)), []);
    assert.equal(prune(object, schemaOf(kind)).unknown, []);
  });
}

const refused: [Kind, never, string][] = [
  ['devicemodels', model({ name: 'a', type: 'INT' }, { name: 'a', type: 'INT' }), 'spec.properties[1]'],
  ['devicemodels', model({ name: 'a', type: 'WORD' }), 'spec.properties[0].type'],
  ['devicemodels', model({ name: 'a', accessMode: 'WriteOnly' }), 'spec.properties[0].accessMode'],
  ['devicemodels', model({ name: 'a', minimum: 'little' }), 'spec.properties[0].minimum'],
  ['devicemodels', model({ name: '' }), 'spec.properties[0].name'],
  ['devicemodels', model({ type: 'INT' }), 'spec.properties[0].name'],
  ['devices', device({ name: 'a' }, { name: 'a' }), 'spec.properties[1]'],
  ['devices', device({ name: 'a', collectCycle: -1 }), 'spec.properties[0].collectCycle'],
  ['devices', device({ name: 'a', reportCycle: '1s' }), 'spec.properties[0].reportCycle'],
  ['devices', device({ name: 'a', desired: {} }), 'spec.properties[0].desired.value'],
  ['devices', device({ name: 'a', desired: { value: 5 } }), 'spec.properties[0].desired.value'],
  [
    'devices',
    device({ name: 'a', pushMethod: { mqtt: { qos: 3 } } }),
    'spec.properties[0].pushMethod.mqtt.qos',
  ],
  ['nodeupgradejobs', job({ version: 'latest' }), 'spec.version'],
  ['nodeupgradejobs', job({ failureTolerate: '10%' }), 'spec.failureTolerate'],
  ['nodeupgradejobs', job({ checkItems: ['luck'] }), 'spec.checkItems[0]'],
  ['localrules', rule({ nodeSelector: { a: 'b' } }), 'spec'],
  ['localrules', rule({ when: {} }), 'spec.when'],
  ['localrules', rule({ when: { all: [{ ...over70, above: 'much' }] } }), 'spec.when.all[0].above'],
  ['localrules', rule({ for: 'ever' }), 'spec.for'],
  ['localrules', rule({ do: [{}] }), 'spec.do[0]'],
  ['localrules', rule({ do: [{ http: { url: 'ftp://x' } }] }), 'spec.do[0].http.url'],
  [
    'localrules',
    rule({ otherwise: [{ write: { device: 'a', property: 'b' } }] }),
    'spec.otherwise[0].write.value',
  ],
];
for (const [kind, object, field] of refused) {
  test(`${kind}: ${JSON.stringify(object).slice(0, 90)} is refused at ${field}`, () => {
    assert.equal(
      validateSchema(object, schemaOf(kind)).map((cause) => cause.field),
      [field],
    );
  });
}

test('short names differ', () => {
  const names = [...definitions.values()].flatMap(({ spec }) => spec.names.shortNames ?? []);
  assert.is(new Set(names).size, names.length);
});

test.run();
