import type { Clock } from '../../core/clock.ts';
import type { Logger } from '../../core/log.ts';
import type { Module } from '../../core/module.ts';
import type { PodRef, PodStatus } from '../../core/pod.ts';
import type { MetaServerConfig } from '../config.ts';
import type { ObjectChange, ObjectMirror } from '../metamanager.ts';
import type { CloudLink } from '../remote.ts';
import type { LocalApi } from './local-api.ts';
import type { ApiObjectStore } from './object-cache.ts';

/** What is kept in the store under the link's words. */
export interface KeptObjects {
  list(type: string): { readonly key: string; readonly value: string }[];
}

/** Where changes of the node's own objects go. */
export interface OwnObjects {
  keep(change: ObjectChange): Promise<void>;
}

/** The pods that run here. */
export interface LocalPods {
  /** Of the kubelet's API, on this machine. */
  readonly kubeletPort: number;
  /** Stops the containers of a pod. */
  restart(namespace: string, name: string): Promise<{ containers: readonly string[] } | { missing: string }>;
  /** Runs a command without input. @param container empty for the only one */
  exec(
    namespace: string,
    name: string,
    container: string,
    command: readonly string[],
  ): Promise<{ stdout: string; stderr: string; exitCode: number } | { missing: string }>;
}

export type MetaServerDeps = {
  readonly config: MetaServerConfig;
  readonly node: string;
  /** The feature gate requireAuthorization: TLS, and only who has a token that the cluster allows it. */
  readonly authorization: boolean;
  readonly store: ApiObjectStore & { readonly meta: KeptObjects };
  readonly link: CloudLink;
  readonly pods: LocalPods;
  readonly own: OwnObjects;
  readonly clock: Clock;
  readonly log: Logger;
};

/** The Kubernetes API on this node, for what it holds and, through the link, for the rest of the cluster.
 * Its code is loaded when it starts: a node that does not serve it does without.
 * @source KubeEdge edge/pkg/metamanager/metaserver */
export class MetaServer implements Module, ObjectMirror {
  readonly name = 'metaserver';
  private readonly deps: MetaServerDeps;
  private api: LocalApi | undefined;

  constructor(deps: MetaServerDeps) {
    this.deps = { ...deps, log: deps.log.child('metaserver') };
  }

  /** @throws EdgeError PORT_TAKEN, PORT_UNUSABLE */
  async start(): Promise<void> {
    const { LocalApi: Api } = await import('./local-api.ts');
    this.api = await Api.make(this.deps);
    await this.api.start();
  }

  async stop(): Promise<void> {
    await this.api?.stop();
  }

  /** The port of `server`, once started. */
  get port(): number {
    return this.api?.port ?? 0;
  }

  /** An object that the cloud tells of because a client here watches it: nobody else acts on it. */
  watched(change: ObjectChange): void {
    this.api?.watched(change);
  }

  online(up: boolean): void {
    this.api?.online(up);
  }

  changed(type: string, object: unknown): void {
    this.api?.changed(type, object);
  }

  removed(change: ObjectChange): void {
    this.api?.removed(change);
  }

  podStatus(pod: PodRef, status: PodStatus): void {
    this.api?.podStatus(pod, status);
  }
}
