import * as v from 'valibot';
import { hostPort, positive } from '../core/config-fields.ts';

const httpsAddress = v.regex<string, string>(/^https:\/\/[^/]+$/, 'want https://HOST:PORT');

/** `modules.edgeHub`, the link to the cloud, with KubeEdge's keys and defaults. Times in seconds.
 * @source KubeEdge api/apis/componentconfig/edgecore/v1alpha2 EdgeHub */
export const edgeHubConfig = v.strictObject({
  enable: v.optional(v.boolean(), true),
  heartbeat: v.optional(positive('seconds'), 15),
  messageQPS: v.optional(positive('messages a second'), 30),
  messageBurst: v.optional(positive('messages'), 60),
  projectID: v.optional(v.string(), 'e632aba927ea4ac2b575ec1603d56f10'),
  tlsCaFile: v.optional(v.string(), '/etc/kubeedge/ca/rootCA.crt'),
  tlsCertFile: v.optional(v.string(), '/etc/kubeedge/certs/server.crt'),
  tlsPrivateKeyFile: v.optional(v.string(), '/etc/kubeedge/certs/server.key'),
  token: v.optional(v.string(), ''),
  httpServer: v.pipe(v.string('want the https:// address of the cloud, port 10002'), httpsAddress),
  /** More of them, tried in turn. KubeEdge knows one. */
  httpServers: v.optional(v.array(v.pipe(v.string(), httpsAddress)), []),
  rotateCertificates: v.optional(v.boolean(), true),
  /** Whether a node whose certificate has expired joins anew when there is a token. KubeEdge has no such key. */
  rejoinExpired: v.optional(v.boolean(), false),
  websocket: v.strictObject({
    enable: v.optional(v.literal(true, 'WebSocket is the only transport: QUIC is not offered'), true),
    server: hostPort,
    /** More of them, tried in turn; the one that works is kept to. KubeEdge knows one. */
    servers: v.optional(v.array(hostPort), []),
    handshakeTimeout: v.optional(positive('seconds'), 30),
    readDeadline: v.optional(positive('seconds'), 15),
    writeDeadline: v.optional(positive('seconds'), 15),
  }),
  /** What waits for the cloud. KubeEdge keeps it in memory. */
  outbox: v.optional(
    v.strictObject({
      maxBytes: v.optional(positive('bytes'), 20_000_000),
      maxAge: v.optional(positive('seconds'), 7 * 86_400),
      /** After an outage, beside what is new. */
      backfillQPS: v.optional(positive('messages a second'), 20),
      backfillBurst: v.optional(positive('messages'), 40),
    }),
    {},
  ),
  quic: v.optional(
    v.looseObject({ enable: v.optional(v.literal(false, 'QUIC is not offered: use websocket'), false) }),
    {},
  ),
});

export type EdgeHubConfig = Readonly<v.InferOutput<typeof edgeHubConfig>>;
