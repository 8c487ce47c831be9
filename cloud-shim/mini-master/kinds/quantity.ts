import type { Json } from '../json.ts';

const QUANTITY = /^([+-]?(?:\d+\.?\d*|\.\d+))(?:([eE][+-]?\d+)|([numkKMGTPE]i?))?$/;

const SUFFIX: Readonly<Record<string, number>> = {
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
};

/** The amount that a quantity stands for (`250m`, `64Mi`, `2`), undefined where it is none.
 * @source apimachinery pkg/api/resource */
export function quantity(value: Json | undefined): number | undefined {
  if (typeof value === 'number') return value;
  const parts = typeof value === 'string' ? QUANTITY.exec(value) : null;
  if (!parts) return undefined;
  const [, digits = '', exponent = '', suffix] = parts;
  const factor = suffix === undefined ? 1 : SUFFIX[suffix];
  return factor === undefined ? undefined : Number(`${digits}${exponent}`) * factor;
}

/** The same in thousandths, rounded up: whole numbers, which a scheduler can add without error.
 * @source apimachinery pkg/api/resource MilliValue */
export function milliValue(value: Json | undefined): number | undefined {
  const amount = quantity(value);
  // What is left of a binary fraction is no amount.
  return amount === undefined ? undefined : Math.ceil(Number((amount * 1000).toPrecision(15)));
}

export function isQuantity(value: Json | undefined): boolean {
  return quantity(value) !== undefined;
}
