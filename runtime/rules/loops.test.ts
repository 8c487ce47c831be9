import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Loops } from './loops.ts';

const make = () => new Loops({ times: 3, window: 10_000 });

test('a rule that sets itself off is let three times in the window', () => {
  const loops = make();
  const chain = new Set(['a']);
  assert.equal(
    [0, 1, 2].map((s) => loops.fires('a', chain, s * 1000) === undefined),
    [false, false, false],
  );
  assert.is(loops.fires('a', chain, 3000), undefined);
  assert.ok(loops.fires('a', chain, 13_000), 'what is past does not count');
});

test('a rule that others set off, or a value from outside, is never a loop', () => {
  const loops = make();
  for (let s = 0; s < 100; s++) {
    assert.equal([...(loops.fires('b', new Set(['a']), s * 10) ?? [])], ['a', 'b']);
    assert.equal([...(loops.fires('b', undefined, s * 10) ?? [])], ['b']);
  }
});

test('what was written is known by its value, for so long', () => {
  const loops = make();
  const chain = new Set(['a']);
  loops.acted('plc switch', 'true', chain, 0);
  assert.is(loops.causeOf('plc switch', 'true', 9999), chain);
  assert.is(loops.causeOf('plc switch', 'false', 1), undefined);
  assert.is(loops.causeOf('plc lamp', 'true', 1), undefined);
  assert.is(loops.causeOf('plc switch', 'true', 10_000), undefined);
  loops.acted('plc setpoint', '70', chain, 0);
  assert.is(loops.causeOf('plc setpoint', '70.0', 1), chain);
});

test('a thousand deeds are kept in mind, the newest', () => {
  const loops = make();
  for (let i = 0; i < 1500; i++) loops.acted(`t${i}`, 'x', new Set([`r${i}`]), i);
  assert.is(loops.causeOf('t499', 'x', 1500), undefined);
  assert.ok(loops.causeOf('t500', 'x', 1500));
});

test.run();
