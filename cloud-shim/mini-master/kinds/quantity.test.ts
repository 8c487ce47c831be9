import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Json } from '../json.ts';
import { isQuantity, milliValue, quantity } from './quantity.ts';

/** @source Kubernetes API reference, Quantity */
const amounts: [Json, number][] = [
  ['0', 0],
  ['2', 2],
  [2, 2],
  ['250m', 0.25],
  ['1500m', 1.5],
  ['0.5', 0.5],
  ['.5', 0.5],
  ['5.', 5],
  ['+1', 1],
  ['-1', -1],
  ['100u', 1e-4],
  ['5n', 5e-9],
  ['1k', 1000],
  ['2M', 2e6],
  ['3G', 3e9],
  ['4T', 4e12],
  ['5P', 5e15],
  ['6E', 6e18],
  ['1Ki', 1024],
  ['64Mi', 67_108_864],
  ['1.5Gi', 1_610_612_736],
  ['1Ti', 2 ** 40],
  ['1Pi', 2 ** 50],
  ['1Ei', 2 ** 60],
  ['1e3', 1000],
  ['1E3', 1000],
  ['12e-1', 1.2],
];
for (const [text, amount] of amounts) {
  test(`${JSON.stringify(text)} is ${amount}`, () => {
    const found = quantity(text) ?? Number.NaN;
    assert.ok(Math.abs(found - amount) <= Math.abs(amount) * 1e-12, String(found));
    assert.ok(isQuantity(text));
  });
}

for (const text of [
  '',
  ' 1',
  '1 ',
  '1K',
  '1ki',
  '1mi',
  '1.2.3',
  '1e3Ki',
  '0x10',
  'm',
  'Gi',
  '1,5',
  '--1',
  null,
  true,
  {},
]) {
  test(`${JSON.stringify(text)} is no quantity`, () => {
    assert.is(quantity(text), undefined);
    assert.not(isQuantity(text));
  });
}

const thousandths: [Json, number][] = [
  ['1', 1000],
  ['100m', 100],
  ['0.1', 100],
  ['700m', 700],
  ['1.1', 1100],
  ['1u', 1],
  ['1100u', 2],
  ['1Gi', 2 ** 30 * 1000],
];
for (const [text, amount] of thousandths) {
  test(`${text} is ${amount} thousandths, rounded up`, () => assert.is(milliValue(text), amount));
}

test('what is no quantity has no thousandths', () => assert.is(milliValue('much'), undefined));

test.run();
