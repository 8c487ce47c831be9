import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { LONGEST_TEXT, LONGEST_VALUE, MOST_ENTRIES, parseFromWorker } from './messages.ts';

const test = suite('what a plugin’s worker says');

const id = 'default/oven';
const long = 'x'.repeat(LONGEST_VALUE + 1);

test('a report is taken entry by entry; what is wrong is left out', () => {
  const report = parseFromWorker({
    kind: 'report',
    readings: [
      { id, property: 't', value: '1', more: 'gone' },
      { id, property: 't', value: 1 },
      { id: '', property: 't', value: '1' },
      { id, property: 't', value: long },
      null,
    ],
    states: [
      { id, state: 'online', reason: '' },
      { id, state: 'asleep', reason: '' },
    ],
    writes: [
      { id, property: 's', desired: '20' },
      { id, property: 's', desired: '20', fault: long },
      { id, property: 's' },
    ],
    pushes: [
      { id, property: 't', value: '1', age: 5 },
      { id, property: 't', value: '1', age: -5 },
      { id, property: 't', value: long, age: 5 },
    ],
    dropped: Number.NaN,
  });
  assert.equal(report, {
    kind: 'report',
    readings: [{ id, property: 't', value: '1' }],
    states: [{ id, state: 'online', reason: '' }],
    writes: [
      { id, property: 's', desired: '20' },
      { id, property: 's', desired: '20', fault: long.slice(0, LONGEST_TEXT) },
    ],
    pushes: [
      { id, property: 't', value: '1', age: 5 },
      { id, property: 't', value: '1', age: 0 },
    ],
    dropped: 0,
  });
});

test('a list that is too long or none is cut', () => {
  const readings = Array.from({ length: 10_000 }, () => ({ id, property: 't', value: '1' }));
  const report = parseFromWorker({ kind: 'report', readings, states: 'none' });
  assert.ok(report?.kind === 'report');
  assert.is(report.readings.length, 3 * MOST_ENTRIES);
  assert.equal(report.states, []);
});

for (const raw of [
  undefined,
  null,
  5,
  'ready',
  [],
  {},
  { kind: 'else' },
  { kind: 'serial', options: {} },
  { kind: 'serial', options: { path: 5 }, port: {} },
]) {
  test(`${JSON.stringify(raw)} is nothing`, () => assert.is(parseFromWorker(raw), undefined));
}

test('texts are cut, and anything may be one', () => {
  assert.equal(parseFromWorker({ kind: 'log', level: 'shout', text: 'x'.repeat(5000) }), {
    kind: 'log',
    level: 'info',
    text: 'x'.repeat(LONGEST_TEXT),
  });
  assert.equal(parseFromWorker({ kind: 'refused', reason: { a: 1 } }), {
    kind: 'refused',
    reason: '[object Object]',
  });
});

test.run();
