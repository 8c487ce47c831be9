import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { millis } from '../../runtime/core/units.ts';
import type { Area, Point } from './config-points.ts';
import { type Block, halve, type Knowledge, planReads, worthwhileGap } from './plan.ts';

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

const fresh: Knowledge = {
  most: { coil: 2000, discrete: 2000, holding: 125, input: 125, identification: 256 },
  gap: { coil: 256, discrete: 256, holding: 16, input: 16, identification: 16 },
  holes: [],
  apart: new Set(),
};

const show = (b: Block): string =>
  `${b.area} ${b.address}+${b.count}: ${b.points.map((p) => p.property).join(' ')}`;
const shape = (points: Point[], known: Partial<Knowledge> = {}): string[] =>
  planReads(points, { ...fresh, ...known }).map(show);

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

test('a request asks for no more than the device allows', () => {
  const points = Array.from({ length: 300 }, (_, i) => point(`p${i}`, i));
  const counts = (known: Partial<Knowledge>): number[] =>
    planReads(points, { ...fresh, ...known }).map((b) => b.count);
  assert.equal(counts({}), [125, 125, 50]);
  assert.equal(counts({ most: { ...fresh.most, holding: 100 } }), [100, 100, 100]);
  const coils = Array.from({ length: 2500 }, (_, i) => point(`p${i}`, i, 1, 'coil'));
  assert.equal(
    planReads(coils, fresh).map((b) => b.count),
    [2000, 500],
  );
});

test('overlapping points share one read', () => {
  assert.equal(shape([point('word', 0, 2), point('low', 1)]), ['holding 0+2: word low']);
});

test('a point that was refused is read on its own, and its neighbours around it', () => {
  const points = [point('a', 0), point('bad', 1), point('c', 2), point('d', 3)];
  const known = { apart: new Set(['bad']), holes: [{ area: 'holding' as const, from: 1, to: 2 }] };
  assert.equal(shape(points, known), ['holding 1+1: bad', 'holding 0+1: a', 'holding 2+2: c d']);
});

test('no read crosses places that the device refuses', () => {
  const points = [point('a', 0), point('b', 10), point('c', 12), point('x', 5, 1, 'input')];
  const holes = [{ area: 'holding' as const, from: 1, to: 10 }];
  assert.equal(shape(points, { holes }), ['holding 0+1: a', 'holding 10+3: b c', 'input 5+1: x']);
});

test('a block is halved by its points, and what lies between the halves is told', () => {
  const [block] = planReads([point('a', 0), point('b', 1, 2), point('c', 8)], fresh);
  assert.ok(block);
  const cut = halve(block as Block);
  assert.equal(cut?.halves.map(show), ['holding 0+3: a b', 'holding 8+1: c']);
  assert.equal(cut?.between, { area: 'holding', from: 3, to: 8 });
  assert.is(halve({ ...(block as Block), points: [point('a', 0)] }), undefined);
});

test('a gap is worth what a request costs on the line', () => {
  const line = (baudRate: number) =>
    ({
      kind: 'serial',
      path: '/dev/x',
      baudRate,
      dataBits: 8,
      parity: 'none',
      stopBits: 1,
      rts: 'none',
    }) as const;
  const gaps = [
    worthwhileGap({ wire: line(9600), framing: 'rtu' }, 0),
    worthwhileGap({ wire: line(115_200), framing: 'rtu' }, 0),
    worthwhileGap({ wire: line(115_200), framing: 'rtu' }, 50),
    worthwhileGap({ wire: line(9600), framing: 'ascii' }, 0),
    worthwhileGap({ wire: { kind: 'tcp', host: 'h', port: 502 }, framing: 'mbap' }, 0),
  ];
  assert.equal(gaps, [12, 36, 60, 6, 32]);
});

test.run();
