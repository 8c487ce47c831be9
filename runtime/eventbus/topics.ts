import { type DeviceId, deviceId } from '../core/units.ts';

/** Where a message that arrived on MQTT goes. */
export type BusRoute =
  /** To the twins: `$hw/events/device/<ns>/<name>/<action>`. */
  | { readonly kind: 'device'; readonly id: DeviceId; readonly action: string }
  /** To the twins: `$hw/events/node/<node>/membership/get`. */
  | { readonly kind: 'membership' }
  /** To the cloud's rules. */
  | { readonly kind: 'upload' };

/** What the bus listens to, besides the topics of rules.
 * @source KubeEdge edge/pkg/eventbus/mqtt SubTopics */
export const busFilters: readonly string[] = [
  '$hw/events/upload/#',
  '$hw/events/device/+/+/state/update',
  '$hw/events/device/+/+/twin/+',
  '$hw/events/node/+/membership/get',
  'SYS/dis/upload_records',
  '+/user/#',
];

/** Reads a topic by its segments.
 * Differs: KubeEdge searches for the namespace as text and so misreads namespaces such as `device` or `e`. */
export function routeTopic(topic: string): BusRoute {
  const [hw, events, kind, first, second, ...rest] = topic.split('/');
  if (hw !== '$hw' || events !== 'events') return { kind: 'upload' };
  if (kind === 'device' && first && second) {
    return { kind: 'device', id: deviceId(first, second), action: rest.join('/') };
  }
  if (kind === 'node' && second === 'membership') return { kind: 'membership' };
  return { kind: 'upload' };
}
