import { type ApiObject, type Json, listAt, objectAt, objectsAt, textAt } from '../json.ts';
import { age, ageColumn, type Column, column, nameColumn } from './column.ts';

/** Columns of the small kinds. @source kubernetes pkg/printers/internalversion AddHandlers */

export const plainColumns: readonly Column[] = [nameColumn, ageColumn];

export const namespaceColumns: readonly Column[] = [
  nameColumn,
  column('Status', (o) => textAt(o, 'status', 'phase')),
  ageColumn,
];

const dataCount = (object: ApiObject): Json =>
  Object.keys(objectAt(object, 'data')).length + Object.keys(objectAt(object, 'binaryData')).length;

export const configMapColumns: readonly Column[] = [
  nameColumn,
  column('Data', dataCount, { type: 'integer' }),
  ageColumn,
];

export const secretColumns: readonly Column[] = [
  nameColumn,
  column('Type', (o) => textAt(o, 'type')),
  column('Data', dataCount, { type: 'integer' }),
  ageColumn,
];

export const serviceAccountColumns: readonly Column[] = [
  nameColumn,
  column('Secrets', (o) => listAt(o, 'secrets').length, { type: 'integer' }),
  ageColumn,
];

export const leaseColumns: readonly Column[] = [
  nameColumn,
  column('Holder', (o) => textAt(o, 'spec', 'holderIdentity')),
  ageColumn,
];

export const crdColumns: readonly Column[] = [
  nameColumn,
  column('Created At', (o) => o.metadata.creationTimestamp ?? '', { type: 'date' }),
];

export const serviceColumns: readonly Column[] = [
  nameColumn,
  column('Type', (o) => textAt(o, 'spec', 'type') || 'ClusterIP'),
  column('Cluster-IP', (o) => textAt(o, 'spec', 'clusterIP') || '<none>'),
  column('External-IP', () => '<none>'),
  column('Port(s)', (o) => objectsAt(o, 'spec', 'ports').map(servicePort).join(',') || '<none>'),
  ageColumn,
];

function servicePort(port: { [key: string]: Json | undefined }): string {
  const node = port.nodePort ? `:${port.nodePort}` : '';
  return `${port.port}${node}/${port.protocol ?? 'TCP'}`;
}

export const volumeColumns: readonly Column[] = [
  nameColumn,
  column(
    'Capacity',
    (o) => textAt(o, 'spec', 'capacity', 'storage') || textAt(o, 'status', 'capacity', 'storage'),
  ),
  column('Access Modes', (o) => listAt(o, 'spec', 'accessModes').map(String).join(',')),
  column('Status', (o) => textAt(o, 'status', 'phase')),
  column('StorageClass', (o) => textAt(o, 'spec', 'storageClassName')),
  ageColumn,
];

/** Events come in two shapes: the fields of core/v1 are shown for both. */
export const eventColumns: readonly Column[] = [
  column('Last Seen', (o, now) => age(lastSeen(o), now)),
  column('Type', (o) => textAt(o, 'type')),
  column('Reason', (o) => textAt(o, 'reason')),
  column('Object', eventObject),
  column('Subobject', (o) => textAt(o, 'involvedObject', 'fieldPath'), { priority: 1 }),
  column('Source', eventSource, { priority: 1 }),
  column('Message', (o) => (textAt(o, 'message') || textAt(o, 'note')).trim()),
  column('First Seen', (o, now) => age(o.firstTimestamp ?? o.deprecatedFirstTimestamp ?? lastSeen(o), now), {
    priority: 1,
  }),
  column('Count', (o) => Number(o.count ?? o.deprecatedCount ?? 1), { type: 'integer', priority: 1 }),
  column('Name', (o) => o.metadata.name ?? '', { format: 'name', priority: 1 }),
];

function lastSeen(event: ApiObject): Json {
  const series = textAt(event, 'series', 'lastObservedTime');
  return series || (event.lastTimestamp ?? event.deprecatedLastTimestamp ?? event.eventTime ?? null);
}

function eventObject(event: ApiObject): Json {
  const about = objectAt(event, event.regarding ? 'regarding' : 'involvedObject');
  return `${String(about.kind ?? '').toLowerCase()}/${about.name ?? ''}`;
}

function eventSource(event: ApiObject): Json {
  const source = objectAt(event, event.deprecatedSource ? 'deprecatedSource' : 'source');
  const component = source.component ?? event.reportingComponent ?? event.reportingController ?? '';
  return source.host ? `${component}, ${source.host}` : component;
}
