import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { asciiBytes, asciiFrame, newFraming } from './framing.ts';
import { sealed } from './rtu-frame.ts';

const test = suite('framings');
const rtu = (hex: string): Buffer => sealed(Buffer.from(hex, 'hex'));
const readTwo = rtu('010300000002');
const answer = rtu('010304deadbeef');
/** An answer's Modbus TCP frame. */
const mbap = (transaction: number, hex: string): Buffer => {
  const body = Buffer.from(hex, 'hex');
  const head = Buffer.alloc(6);
  head.writeUInt16BE(transaction, 0);
  head.writeUInt16BE(body.length, 4);
  return Buffer.concat([head, body]);
};

test('Modbus TCP numbers its requests', () => {
  const framing = newFraming('mbap', false);
  assert.is(framing.begin(readTwo).toString('hex'), '000100000006010300000002');
  assert.is(framing.begin(readTwo).subarray(0, 2).toString('hex'), '0002');
});

test('a late answer with another number is thrown away, in whatever pieces it comes', () => {
  const framing = newFraming('mbap', false);
  framing.begin(readTwo);
  framing.begin(readTwo);
  const stream = Buffer.concat([mbap(1, '01030411111111'), mbap(2, '010304deadbeef')]);
  for (let cut = 1; cut < stream.length; cut++) {
    const first = framing.take(stream.subarray(0, cut));
    const second = framing.take(stream.subarray(cut));
    const found = first.kind === 'none' ? second : first;
    assert.equal(found, { kind: 'answer', frame: answer }, `cut at ${cut}`);
  }
});

const noModbus: [string, Buffer][] = [
  ['HTTP', Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')],
  ['a length of nothing', Buffer.from('00010000000001', 'hex')],
  ['another length of values', mbap(1, '010302dead')],
  ['another function', mbap(1, '010404deadbeef')],
];
for (const [what, bytes] of noModbus) {
  test(`${what} is told at once on Modbus TCP`, () => {
    const framing = newFraming('mbap', false);
    framing.begin(readTwo);
    assert.is(framing.take(bytes).kind, 'garbled');
  });
}

test('a datagram that is cut is forgotten with the next one', () => {
  const framing = newFraming('mbap', true);
  framing.begin(readTwo);
  assert.is(framing.take(mbap(1, '010304deadbeef').subarray(0, 9)).kind, 'none');
  assert.is(framing.take(mbap(1, '010304deadbeef')).kind, 'answer');
});

test('ASCII is written as the specification shows it', () => {
  // MODBUS over Serial Line V1.02 §2.5.2: the sum over all bytes and itself is 0.
  const frame = asciiFrame(Buffer.from('010300000002', 'hex'));
  assert.is(frame.toString(), ':010300000002FA\r\n');
  assert.equal(asciiBytes(':010300000002FA\r'), Buffer.from('010300000002', 'hex'));
  assert.is(asciiBytes(':010300000002FB\r'), undefined);
  assert.is(asciiBytes(':01030000000XFA\r'), undefined);
});

test('an ASCII answer is found after noise, in pieces; one that is damaged is told', () => {
  const framing = newFraming('ascii', false);
  framing.begin(readTwo);
  const line = asciiFrame(answer.subarray(0, -2));
  const noisy = Buffer.concat([Buffer.from('\xff:01'), line]);
  assert.is(framing.take(noisy.subarray(0, 9)).kind, 'none');
  assert.equal(framing.take(noisy.subarray(9)), { kind: 'answer', frame: answer });
  framing.begin(readTwo);
  assert.is(framing.take(Buffer.from(line.toString().replace('DEAD', 'DEAE'))).kind, 'corrupt');
});

test('the echo of a write is told from its answer once a read has shown that the adapter echoes', () => {
  const framing = newFraming('rtu', false);
  framing.begin(readTwo);
  assert.is(framing.take(Buffer.concat([readTwo, answer])).kind, 'answer');
  const write = rtu('0106000200ff');
  framing.begin(write);
  assert.is(framing.take(write).kind, 'none');
  assert.is(framing.take(write).kind, 'answer');
});

test('noise without end is not kept', () => {
  const framing = newFraming('rtu', false);
  framing.begin(readTwo);
  for (let i = 0; i < 50; i++) assert.is(framing.take(Buffer.alloc(1000, 0x55)).kind, 'none');
  assert.is(framing.take(answer).kind, 'answer');
});

const others: [string, string, string][] = [
  ['a mask write', '0116000400f20025', '0116000400f20025'],
  ['a read-write', '011700000002000000020400010002', '01170400010002'],
  ['an identification', '012b0e0100', '012b0e01010000020003414243010131'],
];
for (const [what, request, reply] of others) {
  test(`the answer to ${what} is found`, () => {
    const framing = newFraming('rtu', false);
    framing.begin(rtu(request));
    const frame = rtu(reply);
    assert.is(framing.take(frame.subarray(0, -1)).kind, 'none');
    assert.is(framing.take(frame.subarray(-1)).kind, 'answer');
  });
}

test.run();
