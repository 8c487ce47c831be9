import * as v from 'valibot';

/** `modules.taskManager`: jobs of the cloud for this node. KubeEdge has `enable` only.
 * @source KubeEdge api/apis/componentconfig/edgecore/v1alpha2 TaskManager */
export const taskManagerConfig = v.strictObject({
  enable: v.optional(v.boolean(), false),
  /** Where a NodeUpgradeJob's version is fetched from: a URL or path with `{version}` and `{platform}`, such as
   * `https://updates.example/edgecore-{version}-{platform}.tar.gz`. Empty: no such job is taken. */
  bundleSource: v.optional(v.string(), ''),
  /** The public keys of those who may sign bundles, `*.pem`; also for `edgecore upgrade`. */
  upgradeKeys: v.optional(v.string(), '/etc/kubeedge/upgrade-keys'),
  /** Seconds that a new version has to show that it is well. */
  upgradeWithin: v.optional(
    v.pipe(v.number(), v.integer(), v.minValue(15, 'want seconds, 15 or more'), v.maxValue(3600)),
    180,
  ),
});

export type TaskManagerConfig = Readonly<v.InferOutput<typeof taskManagerConfig>>;
