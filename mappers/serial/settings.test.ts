import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Settings } from './settings.ts';

test('settings are read by any spelling, also as text', () => {
  const faults: string[] = [];
  const raw = { BaudRate: '9600', listen: 'true', scale: 0.5, parity: 'EVEN', send: ' A\r\n', name: 7 };
  const settings = new Settings('at', faults, raw);
  assert.is(settings.count('baudRate', 0, [1, 10_000]), 9600);
  assert.is(settings.flag('listen', false), true);
  assert.is(settings.real('scale', 1), 0.5);
  assert.is(settings.word('parity', ['none', 'even'], 'none'), 'even');
  assert.is(settings.verbatim('send'), ' A\r\n');
  assert.is(settings.text('name'), '7');
  assert.is(settings.count('absent', 3, [1, 10]), 3);
  settings.refuseOthers('a test');
  assert.equal(faults, []);
});

test('every fault is named with its path, and gives what an absent setting would', () => {
  const faults: string[] = [];
  const raw = { rate: 'fast', scale: '', on: 'yes', parity: 'mark', match: '(', inner: 5, typo: 1, size: 11 };
  const settings = new Settings('spec.x', faults, raw);
  assert.is(settings.count('rate', 1, [0, 10]), 1);
  assert.is(settings.count('size', 1, [0, 10]), 1);
  assert.is(settings.real('scale', 2), 2);
  assert.is(settings.flag('on', true), true);
  assert.is(settings.word('parity', ['none', 'even'], 'none'), 'none');
  assert.is(settings.pattern('match'), undefined);
  assert.is(settings.part('inner'), undefined);
  settings.need('port', 'a path');
  settings.refuseOthers('a test');
  assert.equal(faults, [
    'spec.x.rate: fast: want a whole number from 0 to 10',
    'spec.x.size: 11: want a whole number from 0 to 10',
    'spec.x.scale: : want a number',
    'spec.x.on: yes: want true or false',
    'spec.x.parity: mark: want none or even',
    'spec.x.match: (: no regular expression (Unterminated group)',
    'spec.x.inner: 5: want an object',
    'spec.x.port: missing: want a path',
    'spec.x.typo: no setting of a test: there are inner, match, on, parity, port, rate, scale, size',
  ]);
});

test('a text may stand for an object with one setting, and named objects are listed', () => {
  const faults: string[] = [];
  const settings = new Settings('at', faults, { framing: 'silence', asks: { a: 'A?', B: { send: 'B?' } } });
  assert.is(settings.part('framing', 'type')?.text('type'), 'silence');
  const asks = settings.parts('asks', 'send');
  assert.equal(
    [...asks].map(([name, s]) => [name, s.text('send')]),
    [
      ['a', 'A?'],
      ['B', 'B?'],
    ],
  );
  assert.equal(faults, []);
});

test.run();
