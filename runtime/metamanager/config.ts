import * as v from 'valibot';

/** `modules.metaManager`. Times in seconds.
 * @source KubeEdge api/apis/componentconfig/edgecore/v1alpha2 MetaManager */
export const metaManagerConfig = v.strictObject({
  enable: v.optional(v.literal(true, 'the node keeps nothing without it'), true),
  contextSendGroup: v.optional(v.string(), 'hub'),
  contextSendModule: v.optional(v.string(), 'websocket'),
  remoteQueryTimeout: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1)), 60),
  metaServer: v.optional(v.looseObject({ enable: v.optional(v.boolean(), false) }), {}),
});

export type MetaManagerConfig = Readonly<v.InferOutput<typeof metaManagerConfig>>;
