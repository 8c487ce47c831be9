import { splitAddress } from '../broker/bridge/config.ts';
import type { BridgeOptions, RemoteOptions } from '../broker/bridge/options.ts';
import type { LocalHandler } from '../broker/subscription.ts';
import { mebibytes, seconds } from '../core/units.ts';
import type { EventBusConfig } from './config.ts';
import type { BusBroker } from './eventbus.ts';

/** A link to the external broker, as far as the bus uses it. */
export interface ExternalLink {
  publish(message: { topic: string; payload: Buffer; qos: 0 | 1 | 2; retain: boolean }): void;
  /** @returns how to end it */
  listen(filter: string, qos: 0 | 1 | 2, handler: LocalHandler): () => void;
}

/** Slashes keep these names apart from those of configured bridges. */
const PUBLISHER = 'eventbus/pub';
const SUBSCRIBER = 'eventbus/sub';
/** KubeEdge tries again every five seconds; here a fleet does not come back in step. */
const RETRY = { first: seconds(5), factor: 1, cap: seconds(5), jitter: 0.2 };
const KEEP_ALIVE = 30;

/** The two connections to the external broker, one to publish and one to subscribe, for modes 1 and 2.
 * @param random [0, 1)
 * @source KubeEdge edge/pkg/eventbus/mqtt/client.go */
export function externalLinks(config: EventBusConfig, random: () => number): BridgeOptions[] {
  if (config.mqttMode === 0) return [];
  const link = (name: string, clientId: string): BridgeOptions => ({
    name,
    maps: [],
    queue: { count: config.mqttSessionQueueSize, bytes: mebibytes(16), drop: 'oldest' },
    remote: remoteOf(config, clientId),
  });
  const digits = (): string => String(Math.floor(random() * 1e10)).padStart(10, '0');
  return [
    link(PUBLISHER, config.mqttPubClientID || `hub-client-pub-${digits()}`),
    link(SUBSCRIBER, config.mqttSubClientID || `hub-client-sub-${digits()}`),
  ];
}

/** The external broker, as the bus sees a broker: both ways with QoS 1, nothing retained.
 * @param linkOf the links by the names that {@link externalLinks} gave them */
export function externalBroker(linkOf: (name: string) => ExternalLink | undefined): BusBroker {
  return {
    publish: ({ topic, payload }) => linkOf(PUBLISHER)?.publish({ topic, payload, qos: 1, retain: false }),
    subscribe: (filter, handler) => linkOf(SUBSCRIBER)?.listen(filter, 1, handler) ?? (() => {}),
  };
}

function remoteOf(config: EventBusConfig, clientId: string): RemoteOptions {
  const { host, port, isSecure } = splitAddress(config.mqttServerExternal);
  const { enable, tlsMqttCAFile, tlsMqttCertFile, tlsMqttPrivateKeyFile } = config.eventBusTLS;
  const files = {
    caFile: enable ? tlsMqttCAFile || undefined : undefined,
    certFile: enable ? tlsMqttCertFile || undefined : undefined,
    keyFile: enable ? tlsMqttPrivateKeyFile || undefined : undefined,
  };
  return {
    host,
    port,
    // Differs: KubeEdge would speak plain TCP to a tcp:// address although TLS is switched on.
    tls: enable || isSecure ? { ...files, serverName: undefined, insecure: false } : undefined,
    clientId,
    username: config.mqttUsername || undefined,
    password: config.mqttPassword || undefined,
    dialects: ['mqttv311'],
    cleanSession: true,
    keepAlive: KEEP_ALIVE,
    retry: RETRY,
  };
}
