import { hostname } from 'node:os';
import * as v from 'valibot';
import { portNumber } from '../core/config-fields.ts';
import { quantity } from './quantity.ts';

const whole = (unit: string, least = 1) =>
  v.pipe(v.number(), v.integer(), v.minValue(least, `want a whole number of ${unit}, ${least} or more`));
const unixSocket = v.pipe(v.string(), v.regex(/^unix:\/\/\/.+$/, 'want unix:///PATH of the CRI socket'));

/** `modules.edged`, the node agent. Times in seconds unless said.
 * @source KubeEdge api/apis/componentconfig/edgecore/v1alpha2 Edged, TailoredKubeletConfiguration */
export const edgedConfig = v.strictObject({
  enable: v.optional(v.boolean(), true),
  reportEvent: v.optional(v.boolean(), false),
  hostnameOverride: v.optional(
    v.pipe(
      v.string(),
      v.regex(/^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/, 'want a Kubernetes node name: a-z 0-9 - .'),
    ),
    () => hostname().toLowerCase(),
  ),
  nodeIP: v.optional(v.string(), ''),
  customInterfaceName: v.optional(v.string(), ''),
  registerNodeNamespace: v.optional(v.string(), 'default'),
  podSandboxImage: v.optional(v.string(), 'kubeedge/pause:3.6'),
  rootDirectory: v.optional(v.string(), '/var/lib/kubelet'),
  nodeLabels: v.optional(v.record(v.string(), v.string()), {}),
  registerSchedulable: v.optional(v.boolean(), true),
  maxPods: v.optional(whole('pods'), 110),
  maxPerPodContainerCount: v.optional(whole('containers', 0), 1),
  maxContainerCount: v.optional(v.number(), -1),
  tailoredKubeletConfig: v.optional(
    v.strictObject({
      address: v.optional(v.string(), '127.0.0.1'),
      readOnlyPort: v.optional(portNumber, 10_350),
      clusterDomain: v.optional(v.string(), 'cluster.local'),
      clusterDNS: v.optional(v.array(v.string()), []),
      containerRuntimeEndpoint: v.optional(unixSocket, 'unix:///run/containerd/containerd.sock'),
      imageServiceEndpoint: v.optional(v.union([unixSocket, v.literal('')]), ''),
      cgroupDriver: v.optional(v.picklist(['cgroupfs', 'systemd']), 'cgroupfs'),
      registerNode: v.optional(v.boolean(), true),
      registerWithTaints: v.optional(
        v.array(
          v.strictObject({
            key: v.string(),
            value: v.optional(v.string()),
            effect: v.picklist(['NoSchedule', 'PreferNoSchedule', 'NoExecute']),
          }),
        ),
        [],
      ),
      nodeStatusUpdateFrequency: v.optional(whole('seconds'), 10),
      nodeLeaseDurationSeconds: v.optional(whole('seconds'), 40),
      podLogsDir: v.optional(v.string(), '/var/log/pods'),
      containerLogMaxSize: v.optional(
        v.pipe(
          v.string(),
          v.check((text) => (quantity(text) ?? 0) > 0, 'want a quantity of bytes, as in 10Mi'),
        ),
        '10Mi',
      ),
      containerLogMaxFiles: v.optional(whole('files', 2), 5),
      /** Accepted because KubeEdge writes them; edged has no use for them. */
      staticPodPath: v.optional(v.string()),
      failSwapOn: v.optional(v.boolean()),
    }),
    {},
  ),
});

export type EdgedConfig = Readonly<v.InferOutput<typeof edgedConfig>>;
