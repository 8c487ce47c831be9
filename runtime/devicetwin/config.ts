import * as v from 'valibot';

/** `modules.deviceTwin`.
 * @source KubeEdge api/apis/componentconfig/edgecore/v1alpha2 DeviceTwin */
export const deviceTwinConfig = v.strictObject({
  enable: v.optional(v.literal(true, 'devices need it'), true),
  /** The folder of `dmi.sock`, where mappers register. */
  dmiSockPath: v.optional(v.string(), '/etc/kubeedge/'),
});

export type DeviceTwinConfig = Readonly<v.InferOutput<typeof deviceTwinConfig>>;
