/** One measured number, and whether it is good enough. */
export type Figure = {
  readonly bench: string;
  readonly scenario: string;
  readonly figure: string;
  readonly value: number;
  readonly unit: string;
  /** `<=75`, `>=1.0`; absent for what is only told. */
  readonly goal?: string;
  readonly ok?: boolean;
};

export type Goal = { readonly most: number } | { readonly least: number };

/** Makes a figure of a bench; digits beyond the third place are noise. */
export function figure(
  place: { bench: string; scenario: string; figure: string; unit: string },
  value: number,
  goal?: Goal,
): Figure {
  const rounded = Number(value.toPrecision(4));
  const { unit, ...what } = place;
  if (!goal) return { ...what, value: rounded, unit };
  const ok = 'most' in goal ? value <= goal.most : value >= goal.least;
  const wanted = 'most' in goal ? `<=${goal.most}` : `>=${goal.least}`;
  return { ...what, value: rounded, unit, goal: wanted, ok };
}
