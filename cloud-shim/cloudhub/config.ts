import * as v from 'valibot';

const port = (standard: number) =>
  v.optional(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(65_535)), standard);
const seconds = (standard: number) => v.optional(v.pipe(v.number(), v.integer(), v.minValue(1)), standard);

/** `modules.cloudHub`, the end that edges connect to.
 * @source KubeEdge api/apis/componentconfig/cloudcore/v1alpha1 CloudHub */
export const cloudHubConfig = v.strictObject({
  enable: v.optional(v.literal(true, 'edges need it'), true),
  advertiseAddress: v.pipe(
    v.array(v.string()),
    v.minLength(1, 'want the addresses at which edges reach this machine'),
  ),
  dnsNames: v.optional(v.array(v.string()), []),
  nodeLimit: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1)), 1000),
  keepaliveInterval: seconds(30),
  writeTimeout: seconds(30),
  tokenRefreshDuration: v.optional(
    v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(500, 'want at most 500 hours')),
    12,
  ),
  edgeCertSigningDuration: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1)), 365),
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
      port: port(10_002),
    }),
    {},
  ),
  websocket: v.optional(
    v.strictObject({
      enable: v.optional(v.literal(true), true),
      address: v.optional(v.string(), '0.0.0.0'),
      port: port(10_000),
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
