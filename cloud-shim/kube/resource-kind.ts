/** A resource of the API, as its URLs name it. */
export type ResourceKind = {
  /** `v1`, `devices.kubeedge.io/v1beta1`. */
  readonly apiVersion: string;
  readonly kind: string;
  readonly plural: string;
  readonly namespaced: boolean;
};

const namespaced = (apiVersion: string, kind: string, plural: string): ResourceKind => ({
  apiVersion,
  kind,
  plural,
  namespaced: true,
});
const cluster = (apiVersion: string, kind: string, plural: string): ResourceKind => ({
  apiVersion,
  kind,
  plural,
  namespaced: false,
});
const devices = 'devices.kubeedge.io/v1beta1';
const operations = 'operations.kubeedge.io/v1alpha2';

/** The resources that the shim works with. */
export const kinds = {
  pod: namespaced('v1', 'Pod', 'pods'),
  configMap: namespaced('v1', 'ConfigMap', 'configmaps'),
  secret: namespaced('v1', 'Secret', 'secrets'),
  serviceAccount: namespaced('v1', 'ServiceAccount', 'serviceaccounts'),
  event: namespaced('v1', 'Event', 'events'),
  persistentVolumeClaim: namespaced('v1', 'PersistentVolumeClaim', 'persistentvolumeclaims'),
  persistentVolume: cluster('v1', 'PersistentVolume', 'persistentvolumes'),
  namespace: cluster('v1', 'Namespace', 'namespaces'),
  node: cluster('v1', 'Node', 'nodes'),
  lease: namespaced('coordination.k8s.io/v1', 'Lease', 'leases'),
  volumeAttachment: cluster('storage.k8s.io/v1', 'VolumeAttachment', 'volumeattachments'),
  csr: cluster('certificates.k8s.io/v1', 'CertificateSigningRequest', 'certificatesigningrequests'),
  subjectAccessReview: cluster('authorization.k8s.io/v1', 'SubjectAccessReview', 'subjectaccessreviews'),
  crd: cluster('apiextensions.k8s.io/v1', 'CustomResourceDefinition', 'customresourcedefinitions'),
  device: namespaced(devices, 'Device', 'devices'),
  deviceModel: namespaced(devices, 'DeviceModel', 'devicemodels'),
  deviceStatus: namespaced(devices, 'DeviceStatus', 'devicestatuses'),
  localRule: namespaced('rules.edgecore.io/v1alpha1', 'LocalRule', 'localrules'),
  nodeUpgradeJob: cluster(operations, 'NodeUpgradeJob', 'nodeupgradejobs'),
  imagePrePullJob: cluster(operations, 'ImagePrePullJob', 'imageprepulljobs'),
  objectSync: namespaced('reliablesyncs.kubeedge.io/v1alpha1', 'ObjectSync', 'objectsyncs'),
  clusterObjectSync: cluster('reliablesyncs.kubeedge.io/v1alpha1', 'ClusterObjectSync', 'clusterobjectsyncs'),
} as const;

/** The path of a collection, or of one object in it.
 * @source Kubernetes API concepts, resource URIs */
export function pathOf(kind: ResourceKind, namespace?: string, name?: string, subresource?: string): string {
  const root = kind.apiVersion.includes('/') ? `/apis/${kind.apiVersion}` : `/api/${kind.apiVersion}`;
  const within = kind.namespaced && namespace ? `/namespaces/${encodeURIComponent(namespace)}` : '';
  const parts = [name, subresource].filter((part) => part !== undefined && part !== '');
  return [`${root}${within}/${kind.plural}`, ...parts.map((part) => encodeURIComponent(part ?? ''))].join(
    '/',
  );
}
