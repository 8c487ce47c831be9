import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { isoTime } from './iso-time.ts';

test('a time is written as JavaScript writes it, at any hour of any year', () => {
  const edges = [
    0, -1, 1, 951_782_400_000, 1_709_164_799_999, -62_167_219_200_000, 253_402_300_799_999, 8.64e15,
  ];
  const steps = Array.from({ length: 500 }, (_, i) =>
    Math.round(-62_167_219_200_000 + i * 631_139_040_123.7),
  );
  for (const time of [...edges, ...steps]) assert.is(isoTime(time), new Date(time).toISOString());
});

test('what is no time is refused as JavaScript refuses it', () => {
  for (const time of [Number.NaN, Number.POSITIVE_INFINITY, 8.65e15])
    assert.throws(
      () => isoTime(time),
      (error: Error) => error instanceof RangeError,
    );
});

test.run();
