import { BUSYBOX } from '../containerd/containerd.ts';

/** A pod of the test image, with what a test adds to its spec or its only container. */
export function busyboxPod(name: string, container: object = {}, spec: object = {}): unknown {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels: { suite: 'edge' } },
    spec: {
      terminationGracePeriodSeconds: 1,
      ...spec,
      containers: [
        {
          name: 'main',
          image: BUSYBOX,
          imagePullPolicy: 'IfNotPresent',
          command: ['sleep', '1000'],
          ...container,
        },
      ],
    },
  };
}
