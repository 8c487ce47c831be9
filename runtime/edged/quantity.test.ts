import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { quantity, thousandths } from './quantity.ts';

const rows: [string, number][] = [
  ['0', 0],
  ['3', 3],
  ['0.5', 0.5],
  ['500m', 0.5],
  ['250000u', 0.25],
  ['1k', 1000],
  ['2M', 2e6],
  ['1G', 1e9],
  ['1Ki', 1024],
  ['64Mi', 67_108_864],
  ['1.5Gi', 1_610_612_736],
  ['1Ti', 1024 ** 4],
  ['1E', 1e18],
  ['1e3', 1000],
  ['12E2', 1200],
  ['-1', -1],
  ['+2', 2],
];
for (const [text, value] of rows) test(`${text} is ${value}`, () => assert.is(quantity(text), value));

for (const text of ['', 'x', '1X', '1 Gi', 'Gi', '1.2.3', '1ki', '1e', '0x10', 'Infinity']) {
  test(`${JSON.stringify(text)} is no quantity`, () => assert.is(quantity(text), undefined));
}
test('what is not there is no quantity', () => assert.is(quantity(undefined), undefined));

test('every count of thousandths comes back exactly, and less than one is rounded up', () => {
  for (let milli = 0; milli <= 5000; milli++)
    assert.is(thousandths(quantity(`${milli}m`) ?? -1), milli, `${milli}m`);
  assert.is(thousandths(quantity('1u') ?? 0), 1);
});

test.run();
