import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Twin } from './twin.ts';
import { refusalPayload, twinEvents } from './twin-events.ts';

const base = { event_id: 'e1', timestamp: 9 };
const version = { cloud: 0, edge: 1 };
const shown = (expected: string | undefined, actual: string | undefined): Twin => ({
  ...(expected === undefined ? {} : { expected: { value: expected, metadata: { timestamp: 1 } } }),
  ...(actual === undefined ? {} : { actual: { value: actual, metadata: { timestamp: 1 } } }),
  optional: true,
  metadata: { type: 'int' },
});
const kept = (expected: string | undefined, actual: string | undefined): Twin => ({
  ...shown(expected, actual),
  expected_version: version,
  actual_version: version,
});
const removed: Twin = { optional: true, metadata: { type: 'deleted' } };

test('an update is answered, then documented; where nothing is wanted there is no delta', () => {
  const current = kept(undefined, '2');
  const change = { name: 't', last: kept(undefined, '1'), current };
  assert.equal(twinEvents(base, [change], new Map([['t', current]])), [
    { topic: 'twin/update/result', payload: { ...base, twin: { t: shown(undefined, '2') } } },
    {
      topic: 'twin/update/document',
      payload: { ...base, twin: { t: { last: shown(undefined, '1'), current: shown(undefined, '2') } } },
    },
  ]);
});

test('the delta names what differs and shows every twin with a wish, also those that did not change now', () => {
  const all = new Map([
    ['now', kept('5', '4')],
    ['before', kept('1', '0')],
    ['settled', kept('3', '3')],
    ['readOnly', kept(undefined, '8')],
  ]);
  const change = { name: 'now', last: undefined, current: kept('5', '4') };
  const events = twinEvents(base, [change], all);
  assert.equal(
    events.map(({ topic }) => topic),
    ['twin/update/result', 'twin/update/document', 'twin/update/delta'],
  );
  assert.equal(events[2]?.payload, {
    ...base,
    twin: { now: shown('5', '4'), before: shown('1', '0'), settled: shown('3', '3') },
    delta: { now: '5', before: '1' },
  });
});

test('a new twin has no last, and a removed one no current', () => {
  const changes = [
    { name: 'new', last: undefined, current: kept(undefined, '1') },
    { name: 'gone', last: kept(undefined, '1'), current: removed },
  ];
  const [, document] = twinEvents(base, changes, new Map());
  assert.equal(document?.payload, {
    ...base,
    twin: {
      new: { last: null, current: shown(undefined, '1') },
      gone: { last: shown(undefined, '1'), current: null },
    },
  });
});

test('a refusal carries the event, the code and the reason', () => {
  assert.equal(refusalPayload(base, { code: 404, reason: 'no such device' }), {
    event_id: 'e1',
    timestamp: 9,
    code: 404,
    reason: 'no such device',
  });
});

test('what nobody hears is not made', () => {
  const current = kept('5', '4');
  const change = { name: 't', last: undefined, current };
  const topicsFor = (heard: string): string[] =>
    twinEvents(base, [change], new Map([['t', current]]), (topic) => topic.endsWith(heard)).map(
      ({ topic }) => topic,
    );
  assert.equal(topicsFor('nothing'), []);
  for (const kind of ['result', 'document', 'delta']) assert.equal(topicsFor(kind), [`twin/update/${kind}`]);
});

test.run();
