import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type ApiObject, type JsonObject, objectAt } from '../json.ts';
import { CRD_CLEANUP, crdStrategy, customResource } from './crd.ts';

const version = (name: string, more: JsonObject = {}): JsonObject => ({
  name,
  served: true,
  storage: false,
  schema: { openAPIV3Schema: { type: 'object', properties: { spec: { type: 'object' } } } },
  ...more,
});

function crdOf(spec: JsonObject = {}, name = 'widgets.example.com'): ApiObject {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name, creationTimestamp: '2026-01-01T00:00:00Z' },
    spec: {
      group: 'example.com',
      scope: 'Namespaced',
      names: { plural: 'widgets', kind: 'Widget', shortNames: ['wd'] },
      versions: [version('v1', { storage: true })],
      ...spec,
    },
  };
}

const faults = (crd: ApiObject): string[] =>
  (crdStrategy.validate?.(crd) ?? []).map((c) => `${c.field}: ${c.reason}`);

test('a new definition is established at once, its names completed', () => {
  const made = crdStrategy.prepare?.(crdOf());
  assert.ok(made);
  assert.equal(made.metadata.finalizers, [CRD_CLEANUP]);
  assert.equal(objectAt(made, 'spec', 'names'), {
    plural: 'widgets',
    singular: 'widget',
    kind: 'Widget',
    listKind: 'WidgetList',
    shortNames: ['wd'],
  });
  const status = objectAt(made, 'status');
  assert.equal(status.acceptedNames, objectAt(made, 'spec', 'names'));
  assert.equal(status.storedVersions, ['v1']);
  const conditions = (status.conditions as JsonObject[]).map((c) => [c.type, c.status]);
  assert.equal(conditions, [
    ['NamesAccepted', 'True'],
    ['Established', 'True'],
  ]);
});

test('a version that objects were stored in is remembered', () => {
  const old = crdStrategy.prepare?.(crdOf()) ?? crdOf();
  const next = crdOf({ versions: [version('v1'), version('v2', { storage: true })] });
  const updated = crdStrategy.prepareUpdate?.(next, old);
  assert.equal(objectAt(updated, 'status').storedVersions, ['v1', 'v2']);
  assert.ok(updated);
  const again = crdStrategy.prepareUpdate?.(next, updated);
  assert.equal(objectAt(again, 'status').storedVersions, ['v1', 'v2']);
});

const schemaAt = 'spec.versions[0].schema.openAPIV3Schema';
const withSchema = (schema: JsonObject): JsonObject => ({
  versions: [version('v1', { storage: true, schema: { openAPIV3Schema: schema } })],
});
/** @source apiextensions-apiserver pkg/apis/apiextensions/validation; Kubernetes, specifying a structural schema */
const faulty: [string, ApiObject, string[]][] = [
  ['nothing', crdOf(), []],
  ['a name that is not plural.group', crdOf({}, 'widget.example.com'), ['metadata.name: FieldValueInvalid']],
  [
    'a group without a dot',
    crdOf({ group: 'example' }, 'widgets.example'),
    ['spec.group: FieldValueInvalid'],
  ],
  [
    'a plural in capitals',
    crdOf({ names: { plural: 'Widgets', kind: 'Widget' } }, 'Widgets.example.com'),
    ['spec.names.plural: FieldValueInvalid'],
  ],
  ['no kind', crdOf({ names: { plural: 'widgets' } }), ['spec.names.kind: FieldValueRequired']],
  ['no scope', crdOf({ scope: undefined }), ['spec.scope: FieldValueNotSupported']],
  ['no version that is stored', crdOf({ versions: [version('v1')] }), ['spec.versions: FieldValueInvalid']],
  [
    'two versions that are stored',
    crdOf({ versions: [version('v1', { storage: true }), version('v2', { storage: true })] }),
    ['spec.versions: FieldValueInvalid'],
  ],
  [
    'a version that is there twice',
    crdOf({ versions: [version('v1', { storage: true }), version('v1')] }),
    ['spec.versions[1].name: FieldValueDuplicate'],
  ],
  [
    'no schema',
    crdOf({ versions: [version('v1', { storage: true, schema: {} })] }),
    [`${schemaAt}: FieldValueRequired`],
  ],
  [
    'a root that is no object',
    crdOf(withSchema({ type: 'string' })),
    [`${schemaAt}.type: FieldValueInvalid`],
  ],
  [
    'a field without a type',
    crdOf(withSchema({ type: 'object', properties: { a: {} } })),
    [`${schemaAt}.properties[a].type: FieldValueRequired`],
  ],
  [
    'a list of nothing',
    crdOf(withSchema({ type: 'object', properties: { a: { type: 'array' } } })),
    [`${schemaAt}.properties[a].items: FieldValueRequired`],
  ],
  [
    'an entry without a type',
    crdOf(withSchema({ type: 'object', properties: { a: { type: 'array', items: {} } } })),
    [`${schemaAt}.properties[a].items.type: FieldValueRequired`],
  ],
  [
    'fields that are open on purpose',
    crdOf(
      withSchema({
        type: 'object',
        properties: {
          a: { 'x-kubernetes-int-or-string': true },
          b: { 'x-kubernetes-preserve-unknown-fields': true },
        },
      }),
    ),
    [],
  ],
];
for (const [what, crd, expected] of faulty) {
  test(`${expected.length === 0 ? 'accepts' : 'refuses'} ${what}`, () => assert.equal(faults(crd), expected));
}

test('group and scope cannot be changed', () => {
  const causes = crdStrategy.validateUpdate?.(crdOf({ group: 'other.com', scope: 'Cluster' }), crdOf()) ?? [];
  assert.equal(
    causes.map((c) => c.field),
    ['spec.group', 'spec.scope'],
  );
  assert.equal(
    crdStrategy.validateUpdate?.(crdOf({ names: { plural: 'widgets', kind: 'Other' } }), crdOf()),
    [],
  );
});

test('the resource is served as the definition says', () => {
  const resource = customResource(
    crdOf({
      versions: [
        version('v1', {
          storage: true,
          subresources: { status: {} },
          selectableFields: [{ jsonPath: '.spec.color' }],
        }),
        version('v1beta1', { deprecated: true, deprecationWarning: 'use v1' }),
        version('v2', { served: false }),
      ],
    }),
  );
  assert.ok(resource);
  assert.is(resource.collection, 'widgets.example.com');
  assert.is(resource.storedVersion, 'example.com/v1');
  assert.is(resource.singular, 'widget');
  assert.is(resource.listKind, 'WidgetList');
  assert.equal(resource.shortNames, ['wd']);
  assert.is(resource.namespaced, true);
  assert.is(resource.generation, 'spec');
  assert.equal(resource.selectable, ['spec.color']);
  assert.equal(
    resource.versions.map((v) => [v.name, v.hasStatus, v.warning]),
    [
      ['v1', true, undefined],
      ['v1beta1', false, 'use v1'],
    ],
  );
});

test('versions are preferred as Kubernetes documents it', () => {
  const order = [
    'v10',
    'v2',
    'v1',
    'v11beta2',
    'v10beta3',
    'v3beta1',
    'v12alpha1',
    'v11alpha2',
    'foo1',
    'foo10',
  ];
  const versions = [...order].sort().map((name) => version(name, { storage: name === 'v1' }));
  assert.equal(
    customResource(crdOf({ versions }))?.versions.map((v) => v.name),
    order,
  );
});

test('a definition of which nothing is served makes no resource', () => {
  assert.is(
    customResource(crdOf({ versions: [version('v1', { served: false, storage: true })] })),
    undefined,
  );
});

test.run();
