import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  alreadyExists,
  type Cause,
  cause,
  conflict,
  forbidden,
  invalid,
  notFound,
  Refusal,
  tooLarge,
} from './status.ts';

const pods = { group: '', plural: 'pods' };
const devices = { group: 'devices.kubeedge.io', plural: 'devices' };

/** Refusals and what they say. @source apimachinery api/errors */
const refusals: [Refusal, number, string, string][] = [
  [notFound(pods, 'p'), 404, 'NotFound', 'pods "p" not found'],
  [notFound(devices, 'd'), 404, 'NotFound', 'devices.devices.kubeedge.io "d" not found'],
  [alreadyExists(pods, 'p'), 409, 'AlreadyExists', 'pods "p" already exists'],
  [conflict(pods, 'p', 'why'), 409, 'Conflict', 'Operation cannot be fulfilled on pods "p": why'],
  [forbidden(pods, 'p', 'why'), 403, 'Forbidden', 'pods "p" is forbidden: why'],
  [tooLarge(5), 413, 'RequestEntityTooLarge', 'Request entity too large: limit is 5'],
];
for (const [refusal, code, reason, message] of refusals) {
  test(`${message}: ${code}`, () => {
    assert.equal([refusal.code, refusal.reason, refusal.message], [code, reason, message]);
  });
}

test('the answer is a Status that names the object', () => {
  assert.equal(notFound(devices, 'd').status(), {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message: 'devices.devices.kubeedge.io "d" not found',
    reason: 'NotFound',
    details: { name: 'd', group: 'devices.kubeedge.io', kind: 'devices' },
    code: 404,
  });
  assert.not('details' in new Refusal(400, 'BadRequest', 'no').status());
});

const a = cause.required('spec.a');
const b = cause.invalid('spec.b', 'x', 'must be y');
for (const [causes, message] of [
  [[a], 'Pod "p" is invalid: spec.a: Required value'],
  [[a, b], 'Pod "p" is invalid: [spec.a: Required value, spec.b: Invalid value: "x": must be y]'],
] as [Cause[], string][]) {
  test(message, () => {
    const refusal = invalid('', 'Pod', 'p', causes);
    assert.is(refusal.message, message);
    assert.equal(refusal.statusDetails, { name: 'p', kind: 'Pod', causes });
  });
}

test('the kind of a group is told with it', () => {
  assert.match(invalid('x.io', 'Widget', 'w', [a]).message, /^Widget\.x\.io "w" is invalid/);
});

test('a value that is long is cut', () => {
  const { message } = cause.invalid('f', 'x'.repeat(1000), 'no');
  assert.is(message, `Invalid value: "${'x'.repeat(255)}...: no`);
});

test.run();
