import * as v from 'valibot';

/** `modules.dynamicController`, the API server for the local API of nodes. Its buffer numbers are accepted: nothing
 * here needs them.
 * @source KubeEdge api/apis/componentconfig/cloudcore/v1alpha1 DynamicController */
export const dynamicControllerConfig = v.looseObject({ enable: v.optional(v.boolean(), false) });
