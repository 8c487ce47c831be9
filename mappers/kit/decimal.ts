/** A decimal number without rounding: digits × 10^exponent. */
type Decimal = { readonly digits: bigint; readonly exponent: number };

const PATTERN = /^([+-]?)(\d*)(?:\.(\d*))?(?:e([+-]?\d{1,3}))?$/i;

/** value = raw × scale + add, exactly: a 64-bit counter has more digits than a floating-point number keeps.
 * @returns in plain digits: `922337203685477580.7` */
export function scaleExactly(raw: bigint, scale: number, add: number): string {
  return textOf(plus(times({ digits: raw, exponent: 0 }, decimalOf(scale)), decimalOf(add)));
}

/** raw = (value − add) ÷ scale, to the nearest whole number.
 * @returns undefined for a text that is no number */
export function unscaleExactly(text: string, scale: number, add: number): bigint | undefined {
  const value = parse(text.trim());
  if (!value) return undefined;
  const by = decimalOf(scale);
  const { digits, exponent } = plus(value, times({ digits: -1n, exponent: 0 }, decimalOf(add)));
  const shift = exponent - by.exponent;
  const [above, below] =
    shift >= 0 ? [digits * 10n ** BigInt(shift), by.digits] : [digits, by.digits * 10n ** BigInt(-shift)];
  return divide(above, below);
}

function decimalOf(value: number): Decimal {
  return parse(String(value)) ?? { digits: 0n, exponent: 0 };
}

function parse(text: string): Decimal | undefined {
  const [, sign = '', whole = '', fraction = '', exponent = '0'] = PATTERN.exec(text) ?? [];
  if (whole + fraction === '') return undefined;
  const digits = BigInt(whole + fraction);
  return { digits: sign === '-' ? -digits : digits, exponent: Number(exponent) - fraction.length };
}

function times(a: Decimal, b: Decimal): Decimal {
  return { digits: a.digits * b.digits, exponent: a.exponent + b.exponent };
}

function plus(a: Decimal, b: Decimal): Decimal {
  const exponent = Math.min(a.exponent, b.exponent);
  const at = (d: Decimal): bigint => d.digits * 10n ** BigInt(d.exponent - exponent);
  return { digits: at(a) + at(b), exponent };
}

/** To the nearest; a half goes away from nought. */
function divide(above: bigint, below: bigint): bigint {
  const [a, b] = below < 0n ? [-above, -below] : [above, below];
  return a < 0n ? -((-a * 2n + b) / (b * 2n)) : (a * 2n + b) / (b * 2n);
}

function textOf({ digits, exponent }: Decimal): string {
  if (exponent >= 0) return (digits * 10n ** BigInt(exponent)).toString();
  const places = -exponent;
  const plain = (digits < 0n ? -digits : digits).toString().padStart(places + 1, '0');
  const fraction = plain.slice(-places).replace(/0+$/, '');
  return `${digits < 0n ? '-' : ''}${plain.slice(0, -places)}${fraction && `.${fraction}`}`;
}
