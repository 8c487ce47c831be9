const suffixes: Readonly<Record<string, number>> = {
  '': 1,
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 1024,
  Mi: 1024 ** 2,
  Gi: 1024 ** 3,
  Ti: 1024 ** 4,
  Pi: 1024 ** 5,
  Ei: 1024 ** 6,
};

/** The number that a quantity stands for: `500m` is 0.5, `64Mi` is 67108864; undefined when it is none.
 * @source Kubernetes apimachinery resource.Quantity */
export function quantity(text: string | undefined): number | undefined {
  const match = text?.match(/^([+-]?[0-9.]+)(?:[eE]([+-]?\d+)|([a-zA-Z]*))$/);
  if (!match) return undefined;
  const factor = match[2] === undefined ? suffixes[match[3] ?? ''] : 10 ** Number(match[2]);
  const value = Number(match[1]) * (factor ?? Number.NaN);
  return Number.isFinite(value) ? value : undefined;
}

/** Thousandths, rounded up; the sliver that binary fractions add does not count.
 * @source Kubernetes apimachinery resource.Quantity MilliValue */
export function thousandths(value: number): number {
  return Math.ceil(Number((value * 1000).toFixed(6)));
}
