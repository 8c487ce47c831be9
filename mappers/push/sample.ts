import type { Moment } from '../../runtime/core/time-trust.ts';

/** How a property's values are named at a target. What a method does not use is not there. */
export type Route = {
  readonly namespace: string;
  readonly device: string;
  readonly property: string;
  /** The type that KubeEdge's mappers write: of the desired value's metadata, else the model's in small letters. */
  readonly type: string;
  /** http: path and query. */
  readonly path?: string;
  readonly topic?: string;
  readonly qos?: 0 | 1 | 2;
  readonly retained?: boolean;
  readonly measurement?: string;
  readonly tag?: Readonly<Record<string, string>>;
  readonly fieldKey?: string;
};

/** One value on its way to a target. */
export type Sample = {
  readonly route: Route;
  /** When it was read, ms since epoch. */
  readonly at: number;
  /** Tells samples of one instant apart; stays the same when a sample is sent again. */
  readonly n: number;
  readonly value: string;
  /** Read while the clock was not to be trusted: by what the true time can be told later. */
  readonly moment?: Moment;
};

type Row = [route: number, at: number, n: number, value: string, moment?: Moment];

const SAMPLE_BYTES = 48;

/** What a sample takes while it waits, about. */
export function sizeOf({ value }: Sample): number {
  return SAMPLE_BYTES + value.length;
}

/** Samples as they are stored; many of them share few routes. */
export function encodeSamples(samples: readonly Sample[]): string {
  const routes = [...new Set(samples.map(({ route }) => route))];
  const rows = samples.map(({ route, at, n, value, moment }) => {
    const row = [routes.indexOf(route), at, n, value];
    return moment ? [...row, moment] : row;
  });
  return JSON.stringify({ routes, rows });
}

/** @throws Error when the text is not what {@link encodeSamples} has made */
export function decodeSamples(text: string): Sample[] {
  const { routes, rows } = JSON.parse(text) as { routes: Route[]; rows: Row[] };
  return rows.map(([i, at, n, value, moment]) => {
    const route = routes[i];
    if (!route) throw new Error('a stored value without its route');
    return { route, at, n, value, ...(moment ? { moment } : {}) };
  });
}
