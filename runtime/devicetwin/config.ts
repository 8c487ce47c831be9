import * as v from 'valibot';
import { positive } from '../core/config-fields.ts';

/** `modules.deviceTwin`.
 * @source KubeEdge api/apis/componentconfig/edgecore/v1alpha2 DeviceTwin; `cloudReport` is ours */
export const deviceTwinConfig = v.strictObject({
  enable: v.optional(v.literal(true, 'devices need it'), true),
  /** The folder of `dmi.sock`, where mappers register. */
  dmiSockPath: v.optional(v.string(), '/etc/kubeedge/'),
  /** How often the cluster hears of values. States, faults and desired values are told at once. */
  cloudReport: v.optional(
    v.strictObject({
      /** Seconds between two messages of a device that changes all the time; 0 = no limit. */
      interval: v.optional(v.pipe(v.number(), v.minValue(0, 'want seconds, 0 or more')), 10),
      /** Messages that a device which was quiet may send at once. */
      burst: v.optional(positive('messages'), 15),
      /** Messages a second of all devices together; below `edgeHub.messageQPS`, which acknowledgements and leases share. */
      messagesPerSecond: v.optional(positive('messages'), 20),
    }),
    {},
  ),
});

export type DeviceTwinConfig = Readonly<v.InferOutput<typeof deviceTwinConfig>>;
