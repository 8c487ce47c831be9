import { isoTime } from './iso-time.ts';
/** The Kubernetes objects that cross module borders, as far as this project reads them.
 * Objects arrive as JSON and keep the fields that are not named here.
 * @source Kubernetes API reference v1.32 */

export type ObjectMeta = {
  readonly name: string;
  readonly namespace?: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly generation?: number;
  readonly creationTimestamp?: string | null;
  readonly deletionTimestamp?: string;
  readonly deletionGracePeriodSeconds?: number;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly ownerReferences?: readonly OwnerReference[];
  readonly finalizers?: readonly string[];
};

export type OwnerReference = {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller?: boolean;
  readonly blockOwnerDeletion?: boolean;
};

export type KubeObject = {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata: ObjectMeta;
};

/** metav1.Status, the body of every API refusal. */
export type Status = {
  readonly kind?: 'Status';
  readonly apiVersion?: 'v1';
  readonly metadata?: Readonly<Record<string, unknown>>;
  readonly status: 'Success' | 'Failure';
  readonly message: string;
  readonly reason: string;
  readonly details?: Readonly<Record<string, unknown>>;
  readonly code: number;
};

export type ConfigMap = KubeObject & {
  readonly data?: Readonly<Record<string, string>>;
  /** base64. */
  readonly binaryData?: Readonly<Record<string, string>>;
};

export type Secret = KubeObject & {
  readonly type?: string;
  /** base64. */
  readonly data?: Readonly<Record<string, string>>;
};

export type TokenRequestSpec = {
  readonly audiences: readonly string[] | null;
  readonly expirationSeconds: number;
  readonly boundObjectRef: {
    readonly kind: 'Pod';
    readonly apiVersion: 'v1';
    readonly name: string;
    readonly uid: string;
  };
};

export type ServiceAccountToken = { readonly token: string; readonly expirationTimestamp: string };

export type Lease = KubeObject & {
  readonly spec: {
    readonly holderIdentity: string;
    readonly leaseDurationSeconds: number;
    /** MicroTime, RFC 3339 with six decimals. */
    readonly renewTime: string;
  };
};

export type Condition = {
  readonly type: string;
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason?: string;
  readonly message?: string;
  readonly lastTransitionTime?: string;
  readonly lastHeartbeatTime?: string;
  readonly lastProbeTime?: string | null;
};

export type Node = KubeObject & {
  readonly spec: {
    readonly unschedulable?: boolean;
    readonly taints?: readonly { key: string; value?: string; effect: string }[];
  };
  readonly status: NodeStatus;
};

export type NodeStatus = {
  readonly capacity?: Readonly<Record<string, string>>;
  readonly allocatable?: Readonly<Record<string, string>>;
  readonly conditions?: readonly Condition[];
  readonly addresses?: readonly { readonly type: string; readonly address: string }[];
  readonly daemonEndpoints?: { readonly kubeletEndpoint: { readonly Port: number } };
  readonly nodeInfo?: Readonly<Record<string, string>>;
  readonly images?: readonly { readonly names: readonly string[]; readonly sizeBytes: number }[];
};

/** core/v1 Event. */
export type CoreEvent = KubeObject & {
  readonly involvedObject: {
    readonly apiVersion?: string;
    readonly kind: string;
    readonly namespace?: string;
    readonly name: string;
    readonly uid?: string;
    readonly fieldPath?: string;
  };
  readonly reason: string;
  readonly message: string;
  readonly type: 'Normal' | 'Warning';
  readonly count: number;
  readonly firstTimestamp: string;
  readonly lastTimestamp: string;
  readonly source: { readonly component: string; readonly host: string };
  readonly reportingComponent: string;
  readonly reportingInstance: string;
};

/** Kubernetes timestamps have whole seconds. */
export function kubeTime(epochMs: number): string {
  return `${isoTime(epochMs).slice(0, 19)}Z`;
}

/** MicroTime of leases and events: six decimals, of which a clock in milliseconds fills three. */
export function kubeMicroTime(epochMs: number): string {
  return `${isoTime(epochMs).slice(0, 23)}000Z`;
}
