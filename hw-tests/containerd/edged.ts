import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as v from 'valibot';
import { systemClock } from '../../runtime/core/clock.ts';
import { EdgeError } from '../../runtime/core/errors.ts';
import type { CoreEvent, Lease, Node } from '../../runtime/core/k8s.ts';
import { silentLogger } from '../../runtime/core/log.ts';
import { Metrics } from '../../runtime/core/metrics.ts';
import type { Container, Pod, PodRef, PodSpec, PodStatus } from '../../runtime/core/pod.ts';
import { edgedConfig } from '../../runtime/edged/config.ts';
import { type ClusterApi, Edged } from '../../runtime/edged/edged.ts';
import { connectCri } from '../../runtime/wire/cri.ts';
import { BUSYBOX, PAUSE } from './containerd.ts';

/** A cluster of one node that remembers what it was told. */
export class RecordingCluster implements ClusterApi {
  readonly stored: Pod[] = [];
  readonly statuses = new Map<string, PodStatus>();
  readonly terminated: PodRef[] = [];
  readonly events: CoreEvent[] = [];
  readonly objects = new Map<string, unknown>();
  readonly nodes: Node[] = [];
  readonly patches: { status: { conditions: { type: string; status: string; message: string }[] } }[] = [];
  private waiters: (() => void)[] = [];

  pods = (): Pod[] => this.stored;
  podStatus = (ref: PodRef, status: PodStatus): void => this.note(() => this.statuses.set(ref.name, status));
  podTerminated = (ref: PodRef): void => this.note(() => this.terminated.push(ref));
  event = (event: CoreEvent): void => this.note(() => this.events.push(event));
  configMap = async (namespace: string, name: string) => this.object(`${namespace}/configmap/${name}`);
  secret = async (namespace: string, name: string) => this.object(`${namespace}/secret/${name}`);
  serviceAccountToken = async () => ({ token: 'a-token', expirationTimestamp: '2100-01-01T00:00:00Z' });
  registerNode = async (node: Node): Promise<Node> => {
    this.note(() => this.nodes.push(node));
    return node;
  };
  patchNodeStatus = async (_: string, patch: string): Promise<void> =>
    this.note(() => this.patches.push(JSON.parse(patch) as (typeof this.patches)[0]));
  renewLease = async (_: Lease): Promise<void> => {};

  /** Resolves when `holds` is true, which is tried after everything that the node tells.
   * @throws after 20 s, with what was told last */
  async until(what: string, holds: () => boolean): Promise<void> {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      this.wake();
    }, 20_000);
    while (!holds() && !late) await new Promise<void>((resolve) => this.waiters.push(resolve));
    clearTimeout(timer);
    if (!holds()) {
      const told = JSON.stringify([...this.statuses], undefined, 1);
      throw new Error(`not within 20 s: ${what}\n${told}\n${this.events.map((e) => e.message).join('\n')}`);
    }
  }

  phase(name: string, phase: string): Promise<void> {
    return this.until(`pod ${name} is ${phase}`, () => this.statuses.get(name)?.phase === phase);
  }

  /** Has `until` look again. */
  wake(): void {
    this.note(() => {});
  }

  private note(work: () => void): void {
    work();
    for (const wake of this.waiters.splice(0)) wake();
  }

  private object(key: string) {
    const found = this.objects.get(key);
    if (!found) throw new EdgeError('OBJECT_NOT_FOUND', { detail: key });
    return found as { metadata: { name: string } };
  }
}

/** Folders of one node, which survive a restart of its agent. */
export function nodeFolders(): { root: string; logs: string; remove(): void } {
  const folder = mkdtempSync(join(tmpdir(), 'edgecore-edged-'));
  return {
    root: join(folder, 'kubelet'),
    logs: join(folder, 'logs'),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

export function makeEdged(
  cluster: RecordingCluster,
  endpoint: string,
  folders: { root: string; logs: string },
): Edged {
  const edged = new Edged({
    config: v.parse(edgedConfig, {
      hostnameOverride: 'edge-test',
      rootDirectory: folders.root,
      podSandboxImage: PAUSE,
      tailoredKubeletConfig: {
        containerRuntimeEndpoint: endpoint,
        readOnlyPort: 0,
        podLogsDir: folders.logs,
        containerLogMaxSize: '256Ki',
        containerLogMaxFiles: 2,
      },
    }),
    version: 'test',
    cluster,
    cri: connectCri(endpoint),
    clock: systemClock,
    log: silentLogger,
    metrics: new Metrics(),
    store: { health: () => ({}), onChange: () => () => {} },
  });
  edged.onChange(() => cluster.wake());
  return edged;
}

let made = 0;

/** A pod of one or more busybox containers. */
export function busyboxPod(name: string, containers: Partial<Container>[], spec: Partial<PodSpec> = {}): Pod {
  return {
    metadata: { name, namespace: 'default', uid: `uid-${process.pid}-${++made}-${name}` },
    spec: {
      terminationGracePeriodSeconds: 0,
      ...spec,
      containers: containers.map((container, i) => ({
        name: `c${i}`,
        image: BUSYBOX,
        imagePullPolicy: 'IfNotPresent',
        command: ['sleep', '1000'],
        ...container,
      })),
    },
  };
}
