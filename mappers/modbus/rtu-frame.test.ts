import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { crc16, findAnswer, isIntact } from './rtu-frame.ts';

const test = suite('RTU frames');

/** `0103…` with its checksum. */
function frame(hex: string): Buffer {
  const body = Buffer.from(hex, 'hex');
  const crc = Buffer.alloc(2);
  crc.writeUInt16LE(crc16(body));
  return Buffer.concat([body, crc]);
}

const readTwo = frame('010300000002');
const answer = frame('010304deadbeef');

test('the checksum is the one of the specification', () => {
  // MODBUS over Serial Line V1.02 appendix B: 02 07 → 0x1241, sent as 41 12.
  assert.is(crc16(Buffer.from('0207', 'hex')), 0x1241);
  assert.ok(isIntact(Buffer.from('02074112', 'hex')));
  assert.not.ok(isIntact(Buffer.from('02074113', 'hex')));
});

test('an answer is found when it is whole, in whatever pieces it comes', () => {
  for (let length = 0; length < answer.length; length++)
    assert.is(findAnswer(answer.subarray(0, length), readTwo).kind, 'none', `${length} bytes`);
  assert.equal(findAnswer(answer, readTwo), { kind: 'answer', frame: answer });
});

test('noise before and after an answer is passed over', () => {
  const noise = Buffer.from('0103ff00', 'hex');
  assert.equal(findAnswer(Buffer.concat([noise, answer, noise]), readTwo), { kind: 'answer', frame: answer });
});

test('the echo of the request, as two-wire adapters give it, is no answer', () => {
  assert.is(findAnswer(readTwo, readTwo).kind, 'none');
  assert.equal(findAnswer(Buffer.concat([readTwo, answer]), readTwo), { kind: 'answer', frame: answer });
});

test('an exception is an answer', () => {
  const exception = frame('018302');
  assert.equal(findAnswer(exception, readTwo), { kind: 'answer', frame: exception });
});

test('intact frames that answer something else are passed over', () => {
  const others = {
    'another unit': '020304deadbeef',
    'another function': '010404deadbeef',
    'another length': '010302dead',
    'another unit refuses': '028302',
  };
  for (const [what, hex] of Object.entries(others))
    assert.is(findAnswer(frame(hex), readTwo).kind, 'none', what);
});

test('a write is answered by its own address and value', () => {
  const write = frame('0106000200ff');
  assert.equal(findAnswer(write, write).kind, 'answer');
  assert.equal(findAnswer(frame('0106000300ff'), write).kind, 'none');
  const writeMany = frame('0110000000020442280000');
  assert.equal(findAnswer(frame('011000000002'), writeMany).kind, 'answer');
  assert.equal(findAnswer(frame('011000040002'), writeMany).kind, 'none');
});

test('bits are packed eight to a byte', () => {
  const readNine = frame('010100000009');
  assert.equal(findAnswer(frame('010102ff01'), readNine).kind, 'answer');
});

test('a wrong checksum is told', () => {
  const bad = Buffer.from(answer);
  bad[4] = 0;
  assert.equal(findAnswer(bad, readTwo), { kind: 'corrupt', frame: bad });
});

test('an answer that looks like a broken exception half way through is waited for', () => {
  const whole = frame('010304018300aa');
  assert.is(findAnswer(whole.subarray(0, 8), readTwo).kind, 'none');
  assert.equal(findAnswer(whole, readTwo), { kind: 'answer', frame: whole });
});

test.run();
