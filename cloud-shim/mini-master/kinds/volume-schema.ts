import { atomicList, flag, integer, intOrString, open, record, type Schema, text } from '../schema/schema.ts';

/** Volumes of a pod; the sources that no edge can mount are kept as they are.
 * @source Kubernetes API reference v1.32, Volume v1 core */

const keyToPath = record({ key: text(), path: text(), mode: integer() }, ['key', 'path']);
const items = (): Schema => atomicList(keyToPath);

const downwardItem = record(
  {
    path: text(),
    fieldRef: record({ apiVersion: text(), fieldPath: text() }, ['fieldPath']),
    resourceFieldRef: record({ containerName: text(), resource: text(), divisor: intOrString() }, [
      'resource',
    ]),
    mode: integer(),
  },
  ['path'],
);

const projection = record({
  secret: record({ name: text(), items: items(), optional: flag() }),
  configMap: record({ name: text(), items: items(), optional: flag() }),
  downwardAPI: record({ items: atomicList(downwardItem) }),
  serviceAccountToken: record({ audience: text(), expirationSeconds: integer(), path: text() }, ['path']),
  clusterTrustBundle: open(),
  podCertificate: open(),
});

/** The fields of a volume that name a source: exactly one of them is set. */
export const volumeSources: Record<string, Schema> = {
  hostPath: record({ path: text('Path on the node.'), type: text() }, ['path']),
  emptyDir: record({ medium: text(), sizeLimit: intOrString() }),
  secret: record({ secretName: text(), items: items(), defaultMode: integer(), optional: flag() }),
  configMap: record({ name: text(), items: items(), defaultMode: integer(), optional: flag() }),
  downwardAPI: record({ items: atomicList(downwardItem), defaultMode: integer() }),
  projected: record({ sources: atomicList(projection), defaultMode: integer() }),
  persistentVolumeClaim: record({ claimName: text(), readOnly: flag() }, ['claimName']),
  nfs: record({ server: text(), path: text(), readOnly: flag() }, ['server', 'path']),
  csi: open(),
  ephemeral: open(),
  image: record({ reference: text(), pullPolicy: text() }),
  iscsi: open(),
  fc: open(),
  flexVolume: open(),
  glusterfs: open(),
  rbd: open(),
  cephfs: open(),
  cinder: open(),
  flocker: open(),
  gitRepo: open(),
  gcePersistentDisk: open(),
  awsElasticBlockStore: open(),
  azureDisk: open(),
  azureFile: open(),
  vsphereVolume: open(),
  photonPersistentDisk: open(),
  portworxVolume: open(),
  quobyte: open(),
  scaleIO: open(),
  storageos: open(),
};

export const volumeSchema: Schema = {
  description: 'Storage that containers of the pod may mount.',
  ...record({ name: text('Name, unique within the pod.'), ...volumeSources }, ['name']),
};
