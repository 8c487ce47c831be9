import * as v from 'valibot';
import { hostPort } from '../core/config-fields.ts';

const PKI = '/etc/kubeedge/pki/metaserver';
const issuers = v.array(v.string());

/** `modules.metaManager.metaServer`, the local Kubernetes API.
 * @source KubeEdge api/apis/componentconfig/edgecore/v1alpha2 MetaServer */
const metaServerConfig = v.strictObject({
  enable: v.optional(v.boolean(), false),
  server: v.optional(hostPort, '127.0.0.1:10550'),
  /** For pods, and only with the feature gate requireAuthorization. */
  dummyServer: v.optional(hostPort, '169.254.30.10:10550'),
  tlsCaFile: v.optional(v.string(), `${PKI}/ca.crt`),
  tlsCertFile: v.optional(v.string(), `${PKI}/server.crt`),
  tlsPrivateKeyFile: v.optional(v.string(), `${PKI}/server.key`),
  serviceAccountIssuers: v.optional(issuers, ['https://kubernetes.default.svc.cluster.local']),
  /** Empty: the issuers. */
  apiAudiences: v.optional(v.array(v.string()), []),
  /** PEM files of public keys. */
  serviceAccountKeyFiles: v.optional(v.array(v.string()), []),
});

/** `modules.metaManager`. Times in seconds.
 * @source KubeEdge api/apis/componentconfig/edgecore/v1alpha2 MetaManager */
export const metaManagerConfig = v.strictObject({
  enable: v.optional(v.literal(true, 'the node keeps nothing without it'), true),
  contextSendGroup: v.optional(v.string(), 'hub'),
  contextSendModule: v.optional(v.string(), 'websocket'),
  remoteQueryTimeout: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1)), 60),
  metaServer: v.optional(metaServerConfig, {}),
});

export type MetaManagerConfig = Readonly<v.InferOutput<typeof metaManagerConfig>>;
export type MetaServerConfig = Readonly<v.InferOutput<typeof metaServerConfig>>;
