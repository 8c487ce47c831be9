import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Settings } from './settings.ts';

test('settings are read by any spelling, also as text', () => {
  const faults: string[] = [];
  const settings = new Settings(
    { BaudRate: '9600', listen: 'true', scale: 0.5, parity: 'EVEN', name: 7 },
    'at',
    faults,
  );
  assert.is(settings.whole('baudRate', 0, [1, 10_000]), 9600);
  assert.is(settings.flag('listen', false), true);
  assert.is(settings.decimal('scale', 1), 0.5);
  assert.is(settings.choice('parity', ['none', 'even'], 'none'), 'even');
  assert.is(settings.text('name'), '7');
  assert.is(settings.whole('absent', 3, [1, 10]), 3);
  settings.refuseOthers('a test');
  assert.equal(faults, []);
});

test('every fault is named with its path, and gives what an absent setting would', () => {
  const faults: string[] = [];
  const settings = new Settings(
    { rate: 'fast', scale: '', on: 'yes', parity: 'mark', match: '(', inner: 5, typo: 1, size: 11 },
    'spec.x',
    faults,
  );
  assert.is(settings.whole('rate', 1, [0, 10]), 1);
  assert.is(settings.whole('size', 1, [0, 10]), 1);
  assert.is(settings.decimal('scale', 2), 2);
  assert.is(settings.flag('on', true), false);
  assert.is(settings.choice('parity', ['none', 'even'], 'none'), 'none');
  assert.is(settings.pattern('match'), undefined);
  assert.is(settings.part('inner'), undefined);
  assert.is(settings.need('port', 'a path'), undefined);
  settings.refuseOthers('a test');
  assert.equal(faults.length, 9);
  assert.equal(faults.slice(0, 2), [
    'spec.x.rate: "fast": want a whole number from 0 to 10',
    'spec.x.size: 11: want a whole number from 0 to 10',
  ]);
  assert.match(faults[5] ?? '', /^spec\.x\.match: "\(": no regular expression/);
  assert.is(faults[7], 'spec.x.port: missing: want a path');
  assert.match(faults[8] ?? '', /^spec\.x\.typo: no setting of a test: there are inner, match, on, /);
});

test('a text may stand for an object with one setting, and named objects are listed', () => {
  const faults: string[] = [];
  const settings = new Settings({ framing: 'silence', asks: { a: 'A?', b: { send: 'B?' } } }, 'at', faults);
  assert.is(settings.part('framing', 'type')?.text('type'), 'silence');
  const asks = settings.parts('asks', 'send');
  assert.equal(
    [...asks].map(([name, s]) => [name, s.text('send')]),
    [
      ['a', 'A?'],
      ['b', 'B?'],
    ],
  );
  assert.equal(faults, []);
});

test.run();
