import * as v from 'valibot';

/** `modules.eventBus`. `mqttMode`: 0 the broker in this process, 1 both, 2 an external one.
 * Differs: KubeEdge's default is 2, a mosquitto beside it; here the broker is part of edgecore.
 * @source KubeEdge api/apis/componentconfig/edgecore/v1alpha2 EventBus */
export const eventBusConfig = v.strictObject({
  enable: v.optional(v.literal(true, 'devices are reached through it'), true),
  mqttMode: v.optional(v.literal(0, 'only the internal broker (0) is offered'), 0),
  mqttServerInternal: v.optional(
    v.pipe(v.string(), v.regex(/^tcp:\/\/(\[[0-9a-fA-F:]+\]|[^\s:/[\]]+):\d{1,5}$/, 'want tcp://HOST:PORT')),
    'tcp://127.0.0.1:1883',
  ),
  mqttServerExternal: v.optional(v.string(), ''),
  mqttQOS: v.optional(v.picklist([0, 1, 2]), 0),
  mqttRetain: v.optional(v.boolean(), false),
  mqttSessionQueueSize: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1)), 100),
  mqttSubClientID: v.optional(v.string(), ''),
  mqttPubClientID: v.optional(v.string(), ''),
  mqttUsername: v.optional(v.string(), ''),
  mqttPassword: v.optional(v.string(), ''),
  eventBusTLS: v.optional(v.looseObject({ enable: v.optional(v.literal(false), false) }), {}),
});

export type EventBusConfig = Readonly<v.InferOutput<typeof eventBusConfig>>;
