import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parseBytes, showBytes } from './bytes.ts';
import { checkWidth, type FrameCheck, verify } from './frame-check.ts';
import { type Outgoing, parseTemplate, render } from './template.ts';

const none: FrameCheck = { kind: 'none' };
const number: Outgoing = { isNumber: true, isBoolean: false, scale: 1, add: 0, on: 'true', off: 'false' };
const boolean: Outgoing = { ...number, isNumber: false, isBoolean: true, on: 'ON', off: 'OFF' };
const word: Outgoing = { ...number, isNumber: false };

function made(text: string, value: string, out: Outgoing = number, check: FrameCheck = none): string {
  const template = parseTemplate(text);
  if ('fault' in template) return template.fault;
  const bytes = render(template, check, value, out);
  return 'fault' in bytes ? bytes.fault : showBytes(bytes);
}

/** Template, value, and the bytes as they are shown, or the fault. */
const rows: [string, string, Outgoing, string][] = [
  ['SET {value}\\r\\n', '21.5', number, '"SET 21.5\\r\\n"'],
  ['SET {value:%.1f}\r\n', '21', number, '"SET 21.0\\r\\n"'],
  ['{value:%05d}', '-42', number, '"-0042"'],
  ['{value:%+.2f}', '1.005', number, '"+1.00"'],
  ['{value:%4d}|', '7', number, '"   7|"'],
  ['{value:%04X}', '255', number, '"00FF"'],
  ['{value:%02x}', '10', number, '"0a"'],
  ['{value:%03d}', '12345', number, 'does not fit 3 places'],
  ['{value:%X}', '-1', number, 'below zero, which hexadecimal has no sign for'],
  ['{value:%d}', '215', { ...number, scale: 0.1 }, '"2150"'],
  ['{value}', '21.5', { ...number, scale: 0.1 }, '"215"'],
  ['\\x02{value:int16}\\x03', '-2', number, '"\\x02\\xff\\xfe\\x03"'],
  ['{value:uint16:DCBA}', '1', number, '"\\x01\\x00"'],
  ['{value:float32}', '21.5', number, '"A\\xac\\x00\\x00"'],
  ['{value:uint8}', '256', number, 'does not fit uint8'],
  ['{value:int8}', '-1', number, '"\\xff"'],
  ['{value:uint16}', '70000', number, 'does not fit uint16'],
  ['{"set":{"t":{value}}}', '5', number, '"{"set":{"t":5}}"'],
  ['RELAY {value}', 'true', boolean, '"RELAY ON"'],
  ['RELAY {value:%d}', 'false', boolean, '"RELAY 0"'],
  ['SAY {value}', 'hi there', word, '"SAY hi there"'],
  ['SAY {value}', 'hi\r\nRESET', word, 'control characters cannot be sent'],
  ['SAY {value}', 'hi €', word, '€ is no Latin-1 character'],
  ['{value:%d}', 'abc', number, 'want a number'],
];

test('a template makes the bytes of a write, or says why not', () => {
  for (const [text, value, out, want] of rows)
    assert.is(made(text, value, out), want, `${text} with ${value}`);
});

test('a template that cannot be read has a fault', () => {
  assert.match(made('{value:%q}', '1'), /want a form such as/);
  assert.match(made('{value:bool}', '1'), /want a form such as/);
  assert.match(made('\\q', '1'), /\\q is unknown/);
  assert.match(made('\\x1', '1'), /\\x is unknown/);
  assert.is(made('', '1'), 'is empty');
  assert.match(made('25 °C €', '1'), /€ is no byte/);
});

const checks: [FrameCheck, string, string][] = [
  [
    { kind: 'sum', sum: 'xor', from: 1, encoding: 'binary', order: 'big', init: 0 },
    '\\x02AB\\x03{checksum}',
    '"\\x02AB\\x03\\x00"',
  ],
  [{ kind: 'sum', sum: 'sum8', from: 0, encoding: 'hex', order: 'big', init: 0 }, '#01{checksum}', '"#0184"'],
  [
    { kind: 'sum', sum: 'crc16-modbus', from: 0, encoding: 'binary', order: 'little', init: 0 },
    '\\x01\\x03\\x00\\x00\\x00\\x01{checksum}',
    '"\\x01\\x03\\x00\\x00\\x00\\x01\\x84\\x0a"'.replace('\\x0a', '\\n'),
  ],
  [
    { kind: 'sum', sum: 'crc16-ccitt', from: 0, encoding: 'hex', order: 'big', init: 0xffff },
    '123456789{checksum}',
    '"12345678929B1"',
  ],
  [{ kind: 'nmea' }, '$PMTK220,1000*{checksum}', '"$PMTK220,1000*1F"'],
];

test('a checksum of a template is what verifying wants, and one that differs is told', () => {
  for (const [check, text, want] of checks) {
    assert.is(made(text, '', number, check), want);
    const template = parseTemplate(text);
    assert.not('fault' in template);
    if ('fault' in template) continue;
    const frame = render(template, check);
    assert.ok(Buffer.isBuffer(frame));
    if (!Buffer.isBuffer(frame)) continue;
    const content = verify(frame, check);
    assert.equal(content, frame.subarray(0, frame.length - checkWidth(check)));
    // Any single damaged byte is found.
    for (let at = check.kind === 'sum' ? check.from : 1; at < frame.length; at++) {
      const damaged = Buffer.from(frame);
      damaged[at] = (damaged[at] ?? 0) ^ 0x11;
      assert.ok('fault' in verify(damaged, check), `${text} damaged at ${at}`);
    }
  }
});

test('a frame without its checksum is damaged, however short', () => {
  for (const [check] of checks) {
    const least = checkWidth(check) + (check.kind === 'sum' ? Math.max(1, check.from) : 1);
    for (let length = 0; length < least; length++)
      assert.ok('fault' in verify(Buffer.from('*000'.slice(0, length)), check), `${check.kind} ${length}`);
  }
});

test('bytes are shown as a template would write them', () => {
  assert.is(showBytes(Buffer.from('T=1\r\n\x02\xff', 'latin1')), '"T=1\\r\\n\\x02\\xff"');
  assert.equal(parseBytes('\\0\\t\\\\\\xfF'), Buffer.from([0, 9, 92, 255]));
});

test.run();
