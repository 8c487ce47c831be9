import {
  decode,
  encode,
  int64,
  many,
  message,
  type Out,
  one,
  raw,
  str,
  stringMap,
  strings,
} from '../../../runtime/wire/protobuf.ts';
import type { Json, JsonObject } from '../json.ts';
import { Refusal } from '../status.ts';

/** Newer kubectl creates the small built-in kinds in Protocol Buffers and takes no other word for it.
 * @source Kubernetes API concepts, protobuf encoding; k8s.io/api generated.proto of each kind */

const MAGIC = Buffer.from('k8s\0');
const Unknown = message({ typeMeta: one(1, message({ apiVersion: str(1), kind: str(2) })), raw: raw(2) });
const Meta = message({
  name: str(1),
  generateName: str(2),
  namespace: str(3),
  labels: stringMap(11),
  annotations: stringMap(12),
});
const Bytes = message({ key: str(1), value: raw(2) });
const Plain = message({ metadata: one(1, Meta) });
const ConfigMap = message({ metadata: one(1, Meta), data: stringMap(2), binaryData: many(3, Bytes) });
const Secret = message({
  metadata: one(1, Meta),
  data: many(2, Bytes),
  type: str(3),
  stringData: stringMap(4),
});
const TokenRequest = message({
  metadata: one(1, Meta),
  spec: one(
    2,
    message({
      audiences: strings(1),
      boundObjectRef: one(3, message({ kind: str(1), apiVersion: str(2), name: str(3), uid: str(4) })),
      expirationSeconds: int64(4),
    }),
  ),
});

/** The object in a protobuf body, as JSON would have it. Throws 415 for a kind that is only taken as JSON. */
export function protobufBody(bytes: Buffer): JsonObject {
  if (!bytes.subarray(0, 4).equals(MAGIC)) throw unsupported('a body without its magic number');
  const { typeMeta, raw: content } = decode(Unknown, bytes.subarray(4));
  const { apiVersion = '', kind = '' } = typeMeta ?? {};
  return { apiVersion, kind, ...fieldsOf(kind, content) };
}

/** An OpenAPI v2 document that names no kinds: old kubectl wants one, and then knows the built-in kinds by itself.
 * @source gnostic OpenAPIv2.proto */
export function openApiV2(): Buffer {
  const Document = message({
    swagger: str(1),
    info: one(2, message({ title: str(1), version: str(2) })),
    paths: one(8, message({ none: strings(1) })),
  });
  return encode(Document, { swagger: '2.0', info: { title: 'Kubernetes', version: 'v1.32.0' }, paths: {} });
}

function fieldsOf(kind: string, content: Buffer): JsonObject {
  switch (kind) {
    case 'Namespace':
    case 'ServiceAccount':
      return { metadata: metaOf(decode(Plain, content).metadata) };
    case 'ConfigMap': {
      const { metadata, data, binaryData } = decode(ConfigMap, content);
      return { metadata: metaOf(metadata), data: { ...data }, ...present('binaryData', base64(binaryData)) };
    }
    case 'Secret': {
      const { metadata, data, type, stringData } = decode(Secret, content);
      return {
        metadata: metaOf(metadata),
        data: base64(data),
        stringData: { ...stringData },
        ...(type ? { type } : {}),
      };
    }
    case 'TokenRequest': {
      const {
        audiences = [],
        boundObjectRef,
        expirationSeconds = 0,
      } = decode(TokenRequest, content).spec ?? {};
      const life = expirationSeconds ? { expirationSeconds } : {};
      return {
        metadata: {},
        spec: { audiences, ...(boundObjectRef ? { boundObjectRef: { ...boundObjectRef } } : {}), ...life },
      };
    }
    case 'SelfSubjectAccessReview':
    case 'SelfSubjectRulesReview':
    case 'SelfSubjectReview':
      // Whatever they ask, the answer is the same.
      return { metadata: {}, spec: {} };
    default:
      throw unsupported(`${kind || 'this kind'} in protobuf`);
  }
}

function metaOf(meta: Out<typeof Meta> | undefined): JsonObject {
  if (!meta) return {};
  const { name, generateName, namespace, labels, annotations } = meta;
  return {
    ...present('name', name),
    ...present('generateName', generateName),
    ...present('namespace', namespace),
    ...present('labels', { ...labels }),
    ...present('annotations', { ...annotations }),
  };
}

function present(key: string, value: Json): JsonObject {
  const empty =
    value === '' || (typeof value === 'object' && value !== null && Object.keys(value).length === 0);
  return empty ? {} : { [key]: value };
}

function base64(entries: readonly { key: string; value: Buffer }[]): JsonObject {
  return Object.fromEntries(entries.map(({ key, value }) => [key, value.toString('base64')]));
}

function unsupported(what: string): Refusal {
  return new Refusal(
    415,
    'UnsupportedMediaType',
    `${what} is not taken here: send JSON or YAML, as kubectl apply does`,
  );
}
