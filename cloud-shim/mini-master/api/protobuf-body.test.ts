import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { JsonObject } from '../json.ts';
import { Refusal } from '../status.ts';
import { protobufBody } from './protobuf-body.ts';

/** One field with a length, shorter than 128 bytes. @source Protocol Buffers, Encoding */
function field(number: number, content: Buffer | string): Buffer {
  const bytes = Buffer.from(content);
  assert.ok(bytes.length < 128);
  return Buffer.concat([Buffer.of((number << 3) | 2, bytes.length), bytes]);
}
const join = (...parts: Buffer[]): Buffer => Buffer.concat(parts);
const entry = (key: string, value: Buffer | string): Buffer => join(field(1, key), field(2, value));

/** `k8s\0` and runtime.Unknown. @source Kubernetes API concepts, protobuf encoding */
function bodyOf(kind: string, raw: Buffer): Buffer {
  return join(Buffer.from('k8s\0'), field(1, join(field(1, 'v1'), field(2, kind))), field(2, raw));
}
const meta = (...more: Buffer[]): Buffer => field(1, join(field(1, 'a'), ...more));

const bodies: [string, Buffer, JsonObject][] = [
  ['Namespace', meta(), { metadata: { name: 'a' } }],
  [
    'ServiceAccount',
    field(1, join(field(2, 'gen-'), field(3, 'ns'), field(11, entry('l', '1')), field(12, entry('n', '2')))),
    { metadata: { generateName: 'gen-', namespace: 'ns', labels: { l: '1' }, annotations: { n: '2' } } },
  ],
  [
    'ConfigMap',
    join(meta(), field(2, entry('k', 'v')), field(3, entry('b', Buffer.of(0, 255)))),
    { metadata: { name: 'a' }, data: { k: 'v' }, binaryData: { b: 'AP8=' } },
  ],
  [
    'Secret',
    join(meta(), field(2, entry('k', 'v')), field(3, 'Opaque'), field(4, entry('s', 'plain'))),
    { metadata: { name: 'a' }, data: { k: 'dg==' }, type: 'Opaque', stringData: { s: 'plain' } },
  ],
  [
    'TokenRequest',
    field(2, join(field(1, 'api'), Buffer.of(0x20, 0x90, 0x1c))),
    { metadata: {}, spec: { audiences: ['api'], expirationSeconds: 3600 } },
  ],
];
for (const [kind, raw, object] of bodies) {
  test(`a ${kind} is read as JSON would have it`, () => {
    assert.equal(protobufBody(bodyOf(kind, raw)), { apiVersion: 'v1', kind, ...object });
  });
}

for (const [what, body] of [
  ['another kind', bodyOf('Pod', meta())],
  ['no kind', Buffer.from('k8s\0')],
  ['JSON', Buffer.from('{"kind":"Namespace"}')],
] as const) {
  test(`${what} is refused with 415`, () => {
    assert.throws(
      () => protobufBody(body),
      (error: unknown) => error instanceof Refusal && error.code === 415,
    );
  });
}

test.run();
