import { type ApiObject, type JsonObject, objectAt } from '../json.ts';

/** The fields of core/v1 events and their names in events.k8s.io/v1.
 * @source kubernetes pkg/apis/events/v1/conversion.go */
const NAMES: readonly (readonly [core: string, newer: string])[] = [
  ['involvedObject', 'regarding'],
  ['message', 'note'],
  ['source', 'deprecatedSource'],
  ['firstTimestamp', 'deprecatedFirstTimestamp'],
  ['lastTimestamp', 'deprecatedLastTimestamp'],
  ['count', 'deprecatedCount'],
  ['reportingComponent', 'reportingController'],
];

/** Shows stored core/v1 events as events.k8s.io/v1 and takes them back. */
export const eventCodec = {
  fromStored: (object: ApiObject): ApiObject => renamed(object, 'events.k8s.io/v1', 0),
  toStored: (object: ApiObject): ApiObject => {
    const stored = renamed(object, 'v1', 1);
    return 'involvedObject' in stored ? stored : { ...stored, involvedObject: objectAt(object, 'regarding') };
  },
};

function renamed(object: ApiObject, apiVersion: string, from: 0 | 1): ApiObject {
  const names = new Map(NAMES.map(([core, newer]) => (from === 0 ? [core, newer] : [newer, core])));
  const result: JsonObject = {};
  for (const [key, value] of Object.entries(object)) result[names.get(key) ?? key] = value;
  return { ...result, apiVersion, kind: 'Event', metadata: object.metadata };
}
