import { createPublicKey, generateKeyPairSync, verify } from 'node:crypto';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type DerElement, elements } from '../wire/der.ts';
import { nodeCertificateRequest } from './csr.ts';

const SEQUENCE = 0x30;
const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const at = (list: DerElement[], index: number): DerElement => {
  const element = list[index];
  assert.ok(element);
  return element;
};
const inside = (element: DerElement): DerElement[] => elements(element.content);

const [whole, ...rest] = elements(nodeCertificateRequest('edge-1', privateKey));
assert.ok(whole);
const parts = inside(whole);
const info = inside(at(parts, 0));

test('a request is one sequence of info, algorithm and signature [RFC 2986 §4.2]', () => {
  assert.is(rest.length, 0);
  assert.equal([whole.tag, ...parts.map(({ tag }) => tag)], [SEQUENCE, SEQUENCE, SEQUENCE, 0x03]);
});

test('it is signed with ECDSA and SHA-256 by the key that it carries', () => {
  // 1.2.840.10045.4.3.2, ecdsa-with-SHA256 [RFC 5758 §3.2]
  assert.is(at(parts, 1).content.toString('hex'), '06082a8648ce3d040302');
  const signature = at(parts, 2).content;
  assert.is(signature[0], 0, 'no unused bits');
  const carried = createPublicKey({ key: at(info, 2).whole, format: 'der', type: 'spki' });
  assert.ok(verify('sha256', at(parts, 0).whole, carried, signature.subarray(1)));
  assert.ok(carried.equals(createPublicKey(privateKey)));
});

test('the info is version 0, the subject, the key and no attributes', () => {
  assert.is(at(info, 0).whole.toString('hex'), '020100');
  assert.is(at(info, 3).whole.toString('hex'), 'a000');
  assert.is(info.length, 4);
});

test('the subject is the one that CloudCore expects of a node', () => {
  const names = inside(at(info, 1)).map((set) => {
    const [type, value] = inside(at(inside(set), 0));
    return [type?.content.toString('hex'), value?.content.toString()];
  });
  assert.equal(names, [
    ['550406', 'CN'],
    ['550408', 'Zhejiang'],
    ['550407', 'Hangzhou'],
    ['55040a', 'system:nodes'],
    ['550403', 'system:node:edge-1'],
  ]);
});

test.run();
