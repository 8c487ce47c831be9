import * as v from 'valibot';
import { portNumber, positive } from '../../runtime/core/config-fields.ts';

/** `modules.cloudHub`, the end that edges connect to.
 * @source KubeEdge api/apis/componentconfig/cloudcore/v1alpha1 CloudHub */
export const cloudHubConfig = v.strictObject({
  enable: v.optional(v.literal(true, 'edges need it'), true),
  advertiseAddress: v.pipe(
    v.array(v.string()),
    v.minLength(1, 'want the addresses at which edges reach this machine'),
  ),
  dnsNames: v.optional(v.array(v.string()), []),
  nodeLimit: v.optional(positive('nodes'), 1000),
  keepaliveInterval: v.optional(positive('seconds'), 30),
  writeTimeout: v.optional(positive('seconds'), 30),
  tokenRefreshDuration: v.optional(v.pipe(positive('hours'), v.maxValue(500, 'want at most 500 hours')), 12),
  edgeCertSigningDuration: v.optional(positive('days'), 365),
  // The CA, the key and the token are in the cluster's secrets, as KubeEdge keeps them; files are not read.
  tlsCAFile: v.optional(v.string(), ''),
  tlsCAKeyFile: v.optional(v.string(), ''),
  tlsCertFile: v.optional(v.string(), ''),
  tlsPrivateKeyFile: v.optional(v.string(), ''),
  authorization: v.optional(v.looseObject({}), {}),
  https: v.optional(
    v.strictObject({
      enable: v.optional(v.boolean(), true),
      address: v.optional(v.string(), '0.0.0.0'),
      port: v.optional(portNumber, 10_002),
    }),
    {},
  ),
  websocket: v.optional(
    v.strictObject({
      enable: v.optional(v.literal(true), true),
      address: v.optional(v.string(), '0.0.0.0'),
      port: v.optional(portNumber, 10_000),
    }),
    {},
  ),
  quic: v.optional(v.looseObject({ enable: v.optional(v.literal(false, 'QUIC is not offered'), false) }), {}),
  unixsocket: v.optional(
    v.looseObject({ enable: v.optional(v.literal(false, 'CSI is not offered'), false) }),
    {},
  ),
});

export type CloudHubConfig = Readonly<v.InferOutput<typeof cloudHubConfig>>;
