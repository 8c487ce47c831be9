import type { ApiObject, Json } from '../json.ts';

/** One column of a Table and how its cell is read from an object. */
export type Column = {
  readonly name: string;
  readonly type: string;
  readonly format: string;
  readonly description: string;
  /** 0 is always shown, more only in wide output. */
  readonly priority: number;
  /** @param now ms since epoch, for ages */
  readonly cell: (object: ApiObject, now: number) => Json;
};

export function column(
  name: string,
  cell: (object: ApiObject, now: number) => Json,
  more: Partial<Pick<Column, 'type' | 'format' | 'description' | 'priority'>> = {},
): Column {
  return { name, type: 'string', format: '', description: name, priority: 0, ...more, cell };
}

/** The columns that begin and end nearly every table. */
export const nameColumn: Column = column('Name', (o) => o.metadata.name ?? '', {
  format: 'name',
  description: 'Name of the object, unique within its namespace.',
});
export const ageColumn: Column = column('Age', (o, now) => age(o.metadata.creationTimestamp, now), {
  description: 'Time since the object was created.',
});

/** The time since an RFC 3339 instant in kubectl's short form, `<unknown>` where there is none. */
export function age(since: Json | undefined, now: number): string {
  const start = typeof since === 'string' ? Date.parse(since) : Number.NaN;
  return Number.isNaN(start) ? '<unknown>' : humanDuration(now - start);
}

/** `95s`, `4m10s`, `7h5m`, `3d2h`, `400d`. @source apimachinery util/duration HumanDuration */
export function humanDuration(ms: number): string {
  const seconds = Math.trunc(ms / 1000);
  if (seconds < -1) return '<invalid>';
  if (seconds <= 0) return '0s';
  if (seconds < 120) return `${seconds}s`;
  const minutes = Math.trunc(seconds / 60);
  if (minutes < 10) return pair(minutes, 'm', seconds % 60, 's');
  if (minutes < 180) return `${minutes}m`;
  const hours = Math.trunc(minutes / 60);
  if (hours < 8) return pair(hours, 'h', minutes % 60, 'm');
  if (hours < 48) return `${hours}h`;
  const days = Math.trunc(hours / 24);
  if (hours < 192) return pair(days, 'd', hours % 24, 'h');
  if (days < 365 * 2) return `${days}d`;
  const years = Math.trunc(days / 365);
  return days < 365 * 8 ? pair(years, 'y', days % 365, 'd') : `${years}y`;
}

function pair(first: number, firstUnit: string, second: number, secondUnit: string): string {
  return second === 0 ? `${first}${firstUnit}` : `${first}${firstUnit}${second}${secondUnit}`;
}
