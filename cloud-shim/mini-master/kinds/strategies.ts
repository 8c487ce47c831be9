import {
  type ApiObject,
  asText,
  equal,
  isObject,
  type JsonObject,
  objectAt,
  objectsAt,
  textAt,
  without,
} from '../json.ts';
import { type Cause, cause } from '../status.ts';
import type { Strategy } from './resource.ts';

/** What the small kinds do when they are written. */

const MAX_DATA = 1024 * 1024;
const KEY = /^[-._a-zA-Z0-9]+$/;
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

export const namespaceStrategy: Strategy = {
  prepare: (object) => ({
    ...labelled(object, { 'kubernetes.io/metadata.name': object.metadata.name ?? '' }),
    spec: { ...objectAt(object, 'spec'), finalizers: ['kubernetes'] },
    status: { phase: 'Active' },
  }),
  prepareUpdate: (next, old) => ({
    ...labelled(next, { 'kubernetes.io/metadata.name': old.metadata.name ?? '' }),
    spec: objectAt(old, 'spec'),
  }),
};

function labelled(object: ApiObject, labels: JsonObject): ApiObject {
  const metadata = { ...object.metadata, labels: { ...objectAt(object, 'metadata', 'labels'), ...labels } };
  return { ...object, metadata };
}

/** A new node is kept free of pods until it says that it is ready.
 * @source kubernetes plugin/pkg/admission/nodetaint */
export const nodeStrategy: Strategy = {
  prepare: (object) => {
    const spec = objectAt(object, 'spec');
    const taints = objectsAt(spec, 'taints');
    const key = 'node.kubernetes.io/not-ready';
    if (taints.some((t) => t.key === key && t.effect === 'NoSchedule')) return { ...object, spec };
    return { ...object, spec: { ...spec, taints: [...taints, { key, effect: 'NoSchedule' }] } };
  },
  validate: (object) => {
    const effects = ['NoSchedule', 'PreferNoSchedule', 'NoExecute'];
    return objectsAt(object, 'spec', 'taints').flatMap((taint, i, taints) => {
      const faults: Cause[] = [];
      if (taints.findIndex((t) => t.key === taint.key && t.effect === taint.effect) < i)
        faults.push(cause.duplicate(`spec.taints[${i}]`, taint));
      if (!taint.key) faults.push(cause.required(`spec.taints[${i}].key`));
      if (!effects.includes(asText(taint.effect))) {
        faults.push(cause.unsupported(`spec.taints[${i}].effect`, taint.effect ?? '', effects));
      }
      return faults;
    });
  },
};

export const configMapStrategy: Strategy = {
  validate: (object) => [
    ...dataFaults(object, 'data', false),
    ...dataFaults(object, 'binaryData', true),
    ...sizeFaults(object),
  ],
  validateUpdate: immutableFaults,
};

export const secretStrategy: Strategy = {
  prepare: (object) => ({ ...withStringData(object), type: asText(object.type) || 'Opaque' }),
  prepareUpdate: (next, old) => ({ ...withStringData(next), type: asText(next.type) || asText(old.type) }),
  validate: (object) => [...dataFaults(object, 'data', true), ...typeFaults(object), ...sizeFaults(object)],
  validateUpdate: (next, old) => {
    const changed = next.type !== old.type;
    const causes = changed ? [cause.invalid('type', next.type, 'field is immutable')] : [];
    return [...causes, ...immutableFaults(next, old)];
  },
};

/** stringData is write-only: it ends up in data, base64. */
function withStringData(object: ApiObject): ApiObject {
  const strings = objectAt(object, 'stringData');
  const encoded = Object.entries(strings).map(([k, v]) => [k, Buffer.from(asText(v)).toString('base64')]);
  const rest = without(object, 'stringData') as ApiObject;
  if (encoded.length === 0) return rest;
  return { ...rest, data: { ...objectAt(object, 'data'), ...Object.fromEntries(encoded) } };
}

const REQUIRED_KEYS: Readonly<Record<string, readonly string[]>> = {
  'kubernetes.io/tls': ['tls.crt', 'tls.key'],
  'kubernetes.io/dockerconfigjson': ['.dockerconfigjson'],
  'kubernetes.io/ssh-auth': ['ssh-privatekey'],
};

function typeFaults(object: ApiObject): Cause[] {
  const data = objectAt(object, 'data');
  const required = REQUIRED_KEYS[asText(object.type)] ?? [];
  return required.filter((key) => data[key] === undefined).map((key) => cause.required(`data[${key}]`));
}

function dataFaults(object: ApiObject, field: string, encoded: boolean): Cause[] {
  return Object.entries(objectAt(object, field)).flatMap(([key, value]) => {
    const faults: Cause[] = [];
    const path = `${field}[${key}]`;
    if (!KEY.test(key) || key.length > 253 || key === '.' || key.startsWith('..')) {
      const detail = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'";
      faults.push(cause.invalid(path, key, detail));
    }
    if (encoded && !BASE64.test(asText(value))) faults.push(cause.invalid(path, '', 'illegal base64 data'));
    return faults;
  });
}

function sizeFaults(object: ApiObject): Cause[] {
  const values = [objectAt(object, 'data'), objectAt(object, 'binaryData')].flatMap((d) => Object.values(d));
  const size = values.reduce<number>((sum, value) => sum + asText(value).length, 0);
  if (size <= MAX_DATA * 1.4) return [];
  return [
    {
      reason: 'FieldValueTooLong',
      field: 'data',
      message: `Too long: may not be more than ${MAX_DATA} bytes`,
    },
  ];
}

function immutableFaults(next: ApiObject, old: ApiObject): Cause[] {
  if (old.immutable !== true) return [];
  const causes: Cause[] = [];
  if (next.immutable !== true) {
    causes.push(cause.forbidden('immutable', 'field is immutable when `immutable` is set'));
  }
  for (const field of ['data', 'binaryData']) {
    if (!equal(objectAt(next, field), objectAt(old, field))) {
      causes.push(cause.forbidden(field, 'field is immutable when `immutable` is set'));
    }
  }
  return causes;
}

export const leaseStrategy: Strategy = {
  validate: (object) => {
    const duration = objectAt(object, 'spec').leaseDurationSeconds;
    if (typeof duration !== 'number' || duration > 0) return [];
    return [cause.invalid('spec.leaseDurationSeconds', duration, 'must be greater than 0')];
  },
};

export const eventStrategy: Strategy = {
  validate: (object) => {
    const about = textAt(object, 'involvedObject', 'namespace');
    const { namespace } = object.metadata;
    // Events about objects without a namespace live in `default`.
    const fits =
      about === namespace || (about === '' && (namespace === 'default' || namespace === 'kube-system'));
    if (fits || !isObject(object.involvedObject)) return [];
    return [cause.invalid('involvedObject.namespace', about, 'does not match event.namespace')];
  },
};
