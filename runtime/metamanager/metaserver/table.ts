import type { KubeObject } from '../../core/k8s.ts';
import { isRecord } from '../../core/message.ts';
import { podCells } from './pod-cells.ts';

/** How a client wants objects: whole, as rows of a table, or their metadata alone. */
export type View = {
  readonly as: 'Object' | 'Table' | 'PartialObjectMetadata';
  readonly include: 'None' | 'Metadata' | 'Object';
};

type Column = {
  readonly name: string;
  readonly type: string;
  readonly format: string;
  readonly description: string;
  readonly priority: number;
};

/** A cell of an object. @param now ms since epoch */
export type Cell = (object: KubeObject, now: number) => unknown;

/** Reads what the Accept header asks for; the first form that is offered wins.
 * @source Kubernetes API concepts, receiving resources as tables */
export function viewOf(accept: string, query: URLSearchParams): View {
  const wanted = query.get('includeObject');
  const include = wanted === 'None' || wanted === 'Object' ? wanted : 'Metadata';
  for (const form of accept.split(',')) {
    const as = /;\s*as=(\w+)/.exec(form)?.[1];
    if (as === 'Table') return { as, include };
    if (as?.startsWith('PartialObjectMetadata')) return { as: 'PartialObjectMetadata', include };
    if (!as) break;
  }
  return { as: 'Object', include };
}

/** What this node can say in a table. Which columns the cluster has for a kind, only the cluster knows. */
const cells: Readonly<Record<string, Readonly<Record<string, Cell>>>> = {
  Pod: podCells,
  ConfigMap: { Data: (object) => countOf(object, 'data') + countOf(object, 'binaryData') },
  Secret: { Type: (object) => (object as { type?: unknown }).type ?? '', Data: (o) => countOf(o, 'data') },
};

const ageCell: Cell = ({ metadata }, now) => age(metadata.creationTimestamp, now);

/** A metav1.Table of objects of one kind. @param meta the list's own metadata */
export function tableOf(
  objects: readonly KubeObject[],
  kind: string,
  meta: Readonly<Record<string, unknown>>,
  include: View['include'],
  now: number,
): Record<string, unknown> {
  const all: [string, Cell][] = [
    ['Name', ({ metadata }) => metadata.name],
    ...Object.entries(cells[kind] ?? {}),
    ['Age', ageCell],
  ];
  return {
    kind: 'Table',
    apiVersion: 'meta.k8s.io/v1',
    metadata: meta,
    columnDefinitions: all.map(([name]): Column => {
      const format = name === 'Name' ? 'name' : '';
      return { name, type: 'string', format, description: name, priority: 0 };
    }),
    rows: objects.map((object) => ({
      cells: all.map(([, cell]) => cell(object, now)),
      ...rowObject(object, include),
    })),
  };
}

/** Cuts the objects of a table of the cluster's, which brings them whole, to what the client wants. */
export function trimTable(
  table: Record<string, unknown>,
  include: View['include'],
): { readonly table: Record<string, unknown>; readonly objects: readonly KubeObject[] } {
  const rows = Array.isArray(table.rows) ? table.rows.filter(isRecord) : [];
  const objects = rows.map(({ object }) => object as KubeObject).filter(Boolean);
  const trimmed = rows.map(({ object, ...row }) => ({ ...row, ...rowObject(object as KubeObject, include) }));
  return { table: { ...table, rows: trimmed }, objects };
}

/** An object's metadata alone. */
export function partialOf({ metadata }: KubeObject): Record<string, unknown> {
  return { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata };
}

function rowObject(object: KubeObject | undefined, include: View['include']): { object?: unknown } {
  if (!object || include === 'None') return {};
  return { object: include === 'Object' ? object : partialOf(object) };
}

function countOf(object: KubeObject, field: string): number {
  const map = (object as KubeObject & Record<string, unknown>)[field];
  return isRecord(map) ? Object.keys(map).length : 0;
}

/** The time since an instant in kubectl's short form. */
export function age(since: unknown, now: number): string {
  const start = typeof since === 'string' ? Date.parse(since) : Number.NaN;
  return Number.isNaN(start) ? '<unknown>' : shortDuration(now - start);
}

/** `95s`, `4m10s`, `7h5m`, `3d2h`, `400d`. @source apimachinery util/duration HumanDuration */
function shortDuration(ms: number): string {
  const seconds = Math.max(0, Math.trunc(ms / 1000));
  if (seconds < 120) return `${seconds}s`;
  const minutes = Math.trunc(seconds / 60);
  if (minutes < 10) return pair(minutes, 'm', seconds % 60, 's');
  if (minutes < 180) return `${minutes}m`;
  const hours = Math.trunc(minutes / 60);
  if (hours < 8) return pair(hours, 'h', minutes % 60, 'm');
  if (hours < 48) return `${hours}h`;
  const days = Math.trunc(hours / 24);
  return hours < 192 ? pair(days, 'd', hours % 24, 'h') : `${days}d`;
}

function pair(first: number, firstUnit: string, second: number, secondUnit: string): string {
  return second === 0 ? `${first}${firstUnit}` : `${first}${firstUnit}${second}${secondUnit}`;
}
