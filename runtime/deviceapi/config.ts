import * as v from 'valibot';
import { hostPort } from '../core/config-fields.ts';

/** `modules.deviceApi`, ours: devices and their methods over HTTP, as KubeEdge's mappers offer them. */
export const deviceApiConfig = v.strictObject({
  /** It has no password, and a GET writes: off until somebody needs it. */
  enable: v.optional(v.boolean(), false),
  /** HOST:PORT; KubeEdge's port, on the loopback only. */
  address: v.optional(hostPort, '127.0.0.1:7777'),
});

export type DeviceApiConfig = Readonly<v.InferOutput<typeof deviceApiConfig>>;
