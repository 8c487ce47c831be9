import type { Counter, MetricSource } from '../../core/metrics.ts';

export type BridgeCounters = Readonly<Record<'sent' | 'received' | 'dropped' | 'connected', Counter>>;

/** The figures of one bridge.
 * @param read what is looked up when somebody asks */
export function bridgeCounters(
  metrics: MetricSource,
  bridge: string,
  read: { readonly up: () => boolean; readonly queued: () => number },
): BridgeCounters {
  const labels = { bridge };
  const counter = (name: string, help: string): Counter =>
    metrics.counter(`edgecore_mqtt_bridge_${name}_total`, help, labels);
  const gauge = (name: string, help: string, value: () => number): void =>
    metrics.gauge(`edgecore_mqtt_bridge_${name}`, help, value, labels);
  gauge('up', '1 while the bridge is connected.', () => (read.up() ? 1 : 0));
  gauge('queued', 'Messages that wait for the remote broker.', read.queued);
  return {
    sent: counter('sent', 'PUBLISH packets to the remote broker.'),
    received: counter('received', 'PUBLISH packets from the remote broker.'),
    dropped: counter(
      'dropped',
      'Messages dropped: queue full, too large, or on a topic that is not carried.',
    ),
    connected: counter('connects', 'Connections that the remote broker has accepted.'),
  };
}
