import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { millis } from '../../runtime/core/units.ts';
import type { Area, Point } from './config.ts';
import { planReads } from './plan.ts';

const point = (property: string, address: number, count = 1, area: Area = 'holding'): Point => ({
  property,
  writable: true,
  area,
  address,
  count,
  encoding: { format: 'uint16', order: 'ABCD', scale: 1, add: 0, bit: 0 },
  cycle: millis(1000),
  reportCycle: millis(0),
});

const shape = (points: Point[], apart?: Set<string>): string[] =>
  planReads(points, apart).map(
    (b) => `${b.area} ${b.address}+${b.count}: ${b.points.map((p) => p.property).join(' ')}`,
  );

test('neighbours are read together, in order of their address', () => {
  assert.equal(shape([point('c', 4), point('a', 0, 2), point('b', 2, 2)]), ['holding 0+5: a b c']);
});

test('a small gap is read along, a large one is not', () => {
  assert.equal(shape([point('a', 0), point('b', 17), point('c', 100)]), [
    'holding 0+18: a b',
    'holding 100+1: c',
  ]);
});

test('areas are never mixed', () => {
  assert.equal(shape([point('a', 0), point('b', 1, 1, 'input'), point('c', 2)]), [
    'holding 0+3: a c',
    'input 1+1: b',
  ]);
});

test('a request asks for no more than the protocol allows', () => {
  const points = Array.from({ length: 300 }, (_, i) => point(`p${i}`, i));
  assert.equal(
    planReads(points).map((b) => b.count),
    [125, 125, 50],
  );
  const coils = Array.from({ length: 2500 }, (_, i) => point(`p${i}`, i, 1, 'coil'));
  assert.equal(
    planReads(coils).map((b) => b.count),
    [2000, 500],
  );
});

test('overlapping points share one read', () => {
  assert.equal(shape([point('word', 0, 2), point('low', 1)]), ['holding 0+2: word low']);
});

test('a point that was refused is read on its own, its neighbours without it', () => {
  const points = [point('a', 0), point('bad', 1), point('c', 2)];
  assert.equal(shape(points, new Set(['bad'])), ['holding 0+1: a', 'holding 1+1: bad', 'holding 2+1: c']);
});

test.run();
