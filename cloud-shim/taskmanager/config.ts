import * as v from 'valibot';

/** `modules.taskManager`: NodeUpgradeJobs and ImagePrePullJobs. KubeEdge's numbers are accepted: nothing here needs them.
 * @source KubeEdge api/apis/componentconfig/cloudcore/v1alpha1 TaskManager */
export const taskManagerConfig = v.looseObject({ enable: v.optional(v.boolean(), false) });
