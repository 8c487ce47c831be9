import * as v from 'valibot';
import { cloudHubConfig } from '../cloudhub/config.ts';
import { cloudStreamConfig } from '../cloudstream/config.ts';
import { deviceControllerConfig } from '../devicecontroller/config.ts';
import { dynamicControllerConfig } from '../dynamiccontroller/config.ts';
import { taskManagerConfig } from '../taskmanager/config.ts';

/** A module of KubeEdge's that is not offered: it may stand in the file, switched off. */
const notOffered = (name: string) =>
  v.optional(
    v.looseObject({
      enable: v.optional(v.literal(false, `${name} is not offered: set enable: false`), false),
    }),
    {},
  );
/** A part without which the shim is none. Its worker and buffer numbers are accepted: nothing here needs them. */
const always = (name: string) =>
  v.optional(
    v.looseObject({ enable: v.optional(v.literal(true, `${name} cannot be switched off`), true) }),
    {},
  );

/** cloudcore.yaml with KubeEdge's keys.
 * @source KubeEdge api/apis/componentconfig/cloudcore/v1alpha1 CloudCore */
export const cloudCoreConfig = v.strictObject({
  apiVersion: v.picklist(['cloudcore.config.kubeedge.io/v1alpha1', 'cloudcore.config.kubeedge.io/v1alpha2']),
  kind: v.literal('CloudCore'),
  logLevel: v.optional(v.picklist(['debug', 'info', 'warn', 'error']), 'info'),
  commonConfig: v.optional(v.looseObject({}), {}),
  kubeAPIConfig: v.optional(
    v.strictObject({
      kubeConfig: v.optional(v.string(), ''),
      master: v.optional(
        v.literal('', 'name the API server in the kubeconfig, or leave both empty inside a cluster'),
        '',
      ),
      contentType: v.optional(v.string(), ''),
      qps: v.optional(v.number(), 0),
      burst: v.optional(v.number(), 0),
    }),
    {},
  ),
  modules: v.strictObject({
    cloudHub: cloudHubConfig,
    edgeController: always('edgeController'),
    deviceController: v.optional(deviceControllerConfig, {}),
    syncController: always('syncController'),
    cloudStream: v.optional(cloudStreamConfig, {}),
    dynamicController: v.optional(dynamicControllerConfig, {}),
    router: notOffered('router'),
    iptablesManager: v.optional(v.looseObject({}), {}),
    taskManager: v.optional(taskManagerConfig, {}),
    nodeUpgradeJobController: notOffered('nodeUpgradeJobController'),
  }),
  featureGates: v.optional(v.record(v.string(), v.boolean()), {}),
});

export type CloudCoreConfig = Readonly<v.InferOutput<typeof cloudCoreConfig>>;

/** The least that a configuration must say. */
export const minimalConfig = {
  apiVersion: 'cloudcore.config.kubeedge.io/v1alpha2',
  kind: 'CloudCore',
  kubeAPIConfig: { kubeConfig: '/root/.kube/config' },
  modules: { cloudHub: { advertiseAddress: ['192.0.2.1'] } },
} as const;
