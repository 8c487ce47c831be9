import * as v from 'valibot';
import { hostPort, positive } from '../core/config-fields.ts';

/** `modules.edgeStream`, the way of `kubectl logs` to this node. Times in seconds. The certificate is that of
 * edgeHub: the file keys are accepted and not read.
 * @source KubeEdge api/apis/componentconfig/edgecore/v1alpha2 EdgeStream */
export const edgeStreamConfig = v.strictObject({
  enable: v.optional(v.boolean(), false),
  server: v.optional(hostPort, '127.0.0.1:10004'),
  handshakeTimeout: v.optional(positive('seconds'), 30),
  readDeadline: v.optional(positive('seconds'), 15),
  writeDeadline: v.optional(positive('seconds'), 15),
  tlsTunnelCAFile: v.optional(v.string(), ''),
  tlsTunnelCertFile: v.optional(v.string(), ''),
  tlsTunnelPrivateKeyFile: v.optional(v.string(), ''),
});

export type EdgeStreamConfig = Readonly<v.InferOutput<typeof edgeStreamConfig>>;
