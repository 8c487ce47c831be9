import * as v from 'valibot';
import { portNumber } from '../../runtime/core/config-fields.ts';

/** `modules.cloudStream`, the way to the kubelet ports of nodes. Keys and certificates are the shim's own: the file
 * keys are accepted and not read.
 * @source KubeEdge api/apis/componentconfig/cloudcore/v1alpha1 CloudStream */
export const cloudStreamConfig = v.strictObject({
  enable: v.optional(v.boolean(), false),
  streamPort: v.optional(portNumber, 10_003),
  tunnelPort: v.optional(portNumber, 10_004),
  tlsTunnelCAFile: v.optional(v.string(), ''),
  tlsTunnelCertFile: v.optional(v.string(), ''),
  tlsTunnelPrivateKeyFile: v.optional(v.string(), ''),
  tlsStreamCAFile: v.optional(v.string(), ''),
  tlsStreamCertFile: v.optional(v.string(), ''),
  tlsStreamPrivateKeyFile: v.optional(v.string(), ''),
});

export type CloudStreamConfig = Readonly<v.InferOutput<typeof cloudStreamConfig>>;
