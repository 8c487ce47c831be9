import * as v from 'valibot';
import { positive } from '../../runtime/core/config-fields.ts';

/** `modules.deviceController`. KubeEdge's worker and buffer numbers are accepted: nothing here needs them.
 * @source KubeEdge api/apis/componentconfig/cloudcore/v1alpha1 DeviceController; `statusWrites` is ours */
export const deviceControllerConfig = v.looseObject({
  enable: v.optional(v.literal(true, 'deviceController cannot be switched off'), true),
  /** How many DeviceStatus objects the API server is asked to take, from all nodes together. */
  statusWrites: v.optional(
    v.strictObject({
      perSecond: v.optional(positive('writes'), 200),
      burst: v.optional(positive('writes'), 1000),
    }),
    {},
  ),
});

export type DeviceControllerConfig = Readonly<v.InferOutput<typeof deviceControllerConfig>>;
