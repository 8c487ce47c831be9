import { closeSync, fstatSync, openSync, readSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { EdgeError, errorText } from '../core/errors.ts';
import type { Container, Pod } from '../core/pod.ts';
import { minutes, seconds } from '../core/units.ts';
import type { CriCall } from '../wire/cri.ts';
import { GrpcError, grpcStatus } from '../wire/grpc-status.ts';
import { containerConfig, terminationLog } from './container-config.ts';
import { parseLogLine } from './container-log.ts';
import { environment } from './env.ts';
import { ensureImage, type ImageDeps, StartError } from './images.ts';
import {
  listPods,
  nothingObserved,
  type ObservedContainer,
  type ObservedPod,
  withDetails,
} from './observed.ts';
import { runHandler } from './probes.ts';
import { logFolder, type SandboxSettings, sandboxConfig } from './sandbox-config.ts';
import { mountVolumes, removeVolumes, type VolumeSource } from './volumes.ts';

export type PodRuntimeDeps = ImageDeps & {
  readonly source: VolumeSource;
  readonly settings: SandboxSettings;
  readonly rootDirectory: string;
  readonly node: string;
  readonly hostIP: () => string;
  readonly nodeMemory: number;
  readonly variables: Readonly<Record<string, string>>;
};

const SANDBOX_TIMEOUT = minutes(2);
const LONGEST_MESSAGE = 4096;

/** What is done to one pod in the container runtime: each call brings one thing about, or rejects. */
export class PodRuntime {
  private readonly deps: PodRuntimeDeps;
  private readonly call: CriCall;
  private readonly folder: string;
  podIP = '';

  constructor(deps: PodRuntimeDeps, uid: string) {
    this.deps = deps;
    this.call = deps.call;
    this.folder = join(deps.rootDirectory, 'pods', uid);
  }

  /** Everything that the runtime has of the pod, with particulars. @throws GrpcError */
  async observe(pod: Pod): Promise<ObservedPod> {
    const uid = pod.metadata.uid ?? '';
    const found = (await listPods(this.call, uid)).get(uid);
    const { name, namespace = 'default' } = pod.metadata;
    if (!found) return { uid, name, namespace, ...nothingObserved };
    const detailed = await withDetails(this.call, found);
    return { ...detailed, containers: detailed.containers.map((c) => this.withLastWords(pod, c)) };
  }

  /** The address of the pod's sandbox, once it has one. */
  async learnAddress(pod: Pod, sandboxId: string): Promise<void> {
    if (pod.spec.hostNetwork) this.podIP = this.deps.hostIP();
    if (this.podIP) return;
    const { status } = await this.call('podSandboxStatus', { podSandboxId: sandboxId });
    this.podIP = status?.network?.ip ?? '';
  }

  /** @throws GrpcError */
  async createSandbox(pod: Pod, observed: ObservedPod): Promise<void> {
    for (const { id } of observed.sandboxes)
      await this.call('stopPodSandbox', { podSandboxId: id }, SANDBOX_TIMEOUT);
    this.podIP = '';
    const attempt = (observed.sandboxes[0]?.attempt ?? -1) + 1;
    const config = sandboxConfig(pod, attempt, this.deps.settings);
    await this.call('runPodSandbox', { config }, SANDBOX_TIMEOUT);
    for (const { id } of observed.sandboxes) await this.call('removePodSandbox', { podSandboxId: id });
  }

  /** Makes the pod's volumes, or brings their content up to date. @throws EdgeError */
  volumes(pod: Pod): Promise<Map<string, string>> {
    return mountVolumes(pod, this.folder, this.facts(), this.deps.source);
  }

  /** Creates and starts a container.
   * @returns its id
   * @throws StartError with the reason that the pod's status shows */
  async start(pod: Pod, container: Container, attempt: number, sandboxId: string): Promise<string> {
    const sandbox = sandboxConfig(pod, 0, this.deps.settings);
    const config = await this.configure(pod, container, attempt);
    const containerId = await this.call('createContainer', {
      podSandboxId: sandboxId,
      config,
      sandboxConfig: sandbox,
    })
      .then((answer) => answer.containerId)
      .catch(as('CreateContainerError'));
    await this.call('startContainer', { containerId }).catch(as('RunContainerError'));
    const { postStart } = container.lifecycle ?? {};
    const why = postStart && (await this.hook(containerId, container, postStart, 30));
    if (why) throw new StartError('PostStartHookError', why);
    return containerId;
  }

  /** Stops a container: its preStop hook, SIGTERM, and SIGKILL when the time is over.
   * @param grace seconds */
  async stopContainer(
    observed: ObservedContainer,
    container: Container | undefined,
    grace: number,
  ): Promise<void> {
    const { preStop } = container?.lifecycle ?? {};
    const begun = this.deps.clock.monotonic();
    if (container && preStop && grace > 0) await this.hook(observed.id, container, preStop, grace);
    const left = Math.max(0, Math.round(grace - (this.deps.clock.monotonic() - begun) / 1000));
    await this.call('stopContainer', { containerId: observed.id, timeout: left }, seconds(left + 30)).catch(
      unlessGone,
    );
  }

  async removeContainer(id: string): Promise<void> {
    await this.call('removeContainer', { containerId: id }).catch(unlessGone);
  }

  /** Stops the network and what holds the pod together; the containers' remains stay for their logs. */
  async stopSandboxes(observed: ObservedPod): Promise<void> {
    for (const { id } of observed.sandboxes)
      await this.call('stopPodSandbox', { podSandboxId: id }, SANDBOX_TIMEOUT).catch(unlessGone);
  }

  /** Removes every trace of the pod from the runtime and the disk. */
  async removeAll(pod: Pod, observed: ObservedPod): Promise<void> {
    await this.stopSandboxes(observed);
    for (const { id } of observed.containers) await this.removeContainer(id);
    for (const { id } of observed.sandboxes)
      await this.call('removePodSandbox', { podSandboxId: id }).catch(unlessGone);
    removeVolumes(this.folder);
    rmSync(logFolder(pod, this.deps.settings), { recursive: true, force: true });
  }

  private async configure(pod: Pod, container: Container, attempt: number) {
    const imageRef = await ensureImage(this.deps, pod, container);
    try {
      const [volumes, own] = await Promise.all([
        this.volumes(pod),
        environment(pod, container, this.facts(), this.deps.source),
      ]);
      const env = new Map([...Object.entries(this.deps.variables), ...own]);
      const { podFolder, podIP, nodeMemory } = { podFolder: this.folder, podIP: this.podIP, ...this.deps };
      return containerConfig({
        pod,
        container,
        attempt,
        imageRef,
        env,
        volumes,
        podFolder,
        podIP,
        nodeMemory,
      });
    } catch (error) {
      throw new StartError('CreateContainerConfigError', errorText(error));
    }
  }

  private async hook(
    id: string,
    container: Container,
    handler: Parameters<typeof runHandler>[3],
    timeout: number,
  ): Promise<string | undefined> {
    return runHandler(this.call, id, container, handler, this.podIP, timeout).catch(errorText);
  }

  private facts() {
    return { nodeName: this.deps.node, hostIP: this.deps.hostIP(), podIP: this.podIP };
  }

  /** @source Kubernetes: termination message */
  private withLastWords(pod: Pod, observed: ObservedContainer): ObservedContainer {
    if (observed.state !== 'exited' || observed.message) return observed;
    const spec = [...pod.spec.containers, ...(pod.spec.initContainers ?? [])].find(
      (c) => c.name === observed.name,
    );
    const own = readPart(terminationLog(this.folder, observed.name, observed.attempt), 'start');
    const fallback = spec?.terminationMessagePolicy === 'FallbackToLogsOnError' && observed.exitCode !== 0;
    return { ...observed, message: own || (fallback ? lastLines(observed.logPath) : '') };
  }
}

/** The call found nothing to act on: what it was to bring about holds. */
function unlessGone(error: unknown): void {
  if (error instanceof GrpcError && error.status === grpcStatus.notFound) return;
  throw error;
}

function as(reason: string): (error: unknown) => never {
  return (error) => {
    if (error instanceof GrpcError && error.status === grpcStatus.unavailable) throw error;
    if (error instanceof EdgeError) throw error;
    throw new StartError(reason, errorText(error));
  };
}

/** As much of a file as a message may hold: its beginning, or its end. */
function readPart(path: string, part: 'start' | 'end'): string {
  try {
    const file = openSync(path, 'r');
    const buffer = Buffer.alloc(LONGEST_MESSAGE);
    const from = part === 'start' ? 0 : Math.max(0, fstatSync(file).size - LONGEST_MESSAGE);
    const size = readSync(file, buffer, 0, LONGEST_MESSAGE, from);
    closeSync(file);
    return buffer.toString('utf8', 0, size);
  } catch {
    return '';
  }
}

/** The text of a log's last lines, without the runtime's prefixes. */
function lastLines(path: string): string {
  return readPart(path, 'end')
    .trimEnd()
    .split('\n')
    .flatMap((line) => parseLogLine(line)?.text ?? [])
    .slice(-20)
    .join('\n')
    .trim();
}
