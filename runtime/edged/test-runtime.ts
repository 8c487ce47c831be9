import type { Clock } from '../core/clock.ts';
import type { Cri, CriCall } from '../wire/cri.ts';
import { containerState, sandboxState } from '../wire/cri-messages.ts';
import { GrpcError, grpcStatus } from '../wire/grpc-status.ts';

type Labels = Readonly<Record<string, string>>;
type Sandbox = {
  id: string;
  state: number;
  createdAt: number;
  labels: Labels;
  metadata: { attempt: number };
};
type Container = {
  readonly id: string;
  readonly podSandboxId: string;
  readonly metadata: { readonly name: string; readonly attempt: number };
  readonly image: { readonly image: string };
  readonly imageRef: string;
  readonly labels: Labels;
  readonly annotations: Labels;
  readonly createdAt: number;
  state: number;
  startedAt: number;
  finishedAt: number;
  exitCode: number;
};
type Request = {
  readonly podSandboxId: string;
  readonly containerId: string;
  readonly timeout: number;
  readonly image: { readonly image: string };
  readonly config: {
    readonly metadata: { readonly name: string; readonly attempt: number };
    readonly image: { readonly image: string };
    readonly labels: Labels;
    readonly annotations: Labels;
  };
  readonly filter?: { readonly labelSelector: Labels };
};

/** A container runtime in memory: it keeps what it is told to make, and tests say how containers end. */
export class TestRuntime implements Cri {
  readonly endpoint = 'unix:///test.sock';
  readonly images = new Set<string>();
  /** What was done, as `start app#0`. */
  readonly done: string[] = [];
  /** While false nobody listens. */
  up = true;
  /** Makes pulls fail. */
  pullFault: string | undefined;
  /** Makes the removal of containers fail. */
  removalFault: string | undefined;
  /** Where the logs of all containers lie. */
  logPath = '';
  private readonly clock: Clock;
  private readonly sandboxes = new Map<string, Sandbox>();
  private readonly containers = new Map<string, Container>();
  private made = 0;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  readonly call: CriCall = async (method, request) => {
    if (!this.up) throw new GrpcError(grpcStatus.unavailable, 'connect ENOENT');
    const handler = this.handlers[method];
    if (!handler) throw new GrpcError(12, `${method} is not known`);
    return handler(request as unknown as Request) as never;
  };

  close(): void {}

  /** Ends a container by itself. */
  exit(name: string, exitCode: number): void {
    const running = [...this.containers.values()].filter((c) => c.state === containerState.running);
    const container = running.find(({ metadata }) => metadata.name === name);
    if (container) this.end(container, exitCode);
  }

  /** Takes every sandbox and container down, as a reboot does. */
  reboot(): void {
    for (const sandbox of this.sandboxes.values()) sandbox.state = sandboxState.notReady;
    for (const container of this.containers.values()) this.end(container, 255);
  }

  /** `app#0 running` for each container, oldest first. */
  list(): string[] {
    const states = Object.entries(containerState);
    return [...this.containers.values()].map(
      ({ metadata, state }) =>
        `${metadata.name}#${metadata.attempt} ${states.find(([, number]) => number === state)?.[0]}`,
    );
  }

  get sandboxCount(): number {
    return this.sandboxes.size;
  }

  private readonly handlers: Readonly<Record<string, (request: Request) => unknown>> = {
    version: () => ({ runtimeName: 'test', runtimeVersion: '1' }),
    status: () => ({ status: { conditions: [] } }),
    listPodSandbox: ({ filter }) => ({ items: this.matching(this.sandboxes, filter) }),
    listContainers: ({ filter }) => ({ containers: this.matching(this.containers, filter) }),
    podSandboxStatus: () => ({ status: { network: { ip: '10.0.0.7' } } }),
    imageStatus: ({ image }) => ({ image: this.images.has(image.image) ? { id: image.image } : undefined }),
    pullImage: ({ image }) => {
      if (this.pullFault) throw new GrpcError(grpcStatus.unknown, this.pullFault);
      this.images.add(image.image);
      return { imageRef: image.image };
    },
    containerStatus: ({ containerId }) => ({
      status: { ...this.of(containerId), reason: '', message: '', logPath: this.logPath },
    }),
    runPodSandbox: ({ config }) => {
      const id = `s${this.made++}`;
      const { labels, metadata } = config;
      this.sandboxes.set(id, { id, state: sandboxState.ready, createdAt: this.nanos(), labels, metadata });
      this.done.push('sandbox');
      return { podSandboxId: id };
    },
    stopPodSandbox: ({ podSandboxId }) => {
      const sandbox = this.sandboxes.get(podSandboxId);
      if (sandbox) sandbox.state = sandboxState.notReady;
      for (const container of this.containers.values())
        if (container.podSandboxId === podSandboxId) this.end(container, 137);
      return {};
    },
    removePodSandbox: ({ podSandboxId }) => {
      this.sandboxes.delete(podSandboxId);
      return {};
    },
    createContainer: ({ podSandboxId, config }) => {
      const id = `c${this.made++}`;
      const { metadata, image, labels, annotations } = config;
      const times = { createdAt: this.nanos(), startedAt: 0, finishedAt: 0, exitCode: 0 };
      const state = containerState.created;
      const parts = { metadata, image, imageRef: image.image, labels, annotations };
      this.containers.set(id, { id, podSandboxId, ...parts, ...times, state });
      return { containerId: id };
    },
    startContainer: ({ containerId }) => {
      const container = this.of(containerId);
      container.state = containerState.running;
      container.startedAt = this.nanos();
      this.done.push(`start ${container.metadata.name}#${container.metadata.attempt}`);
      return {};
    },
    stopContainer: ({ containerId, timeout }) => {
      const container = this.of(containerId);
      this.done.push(`stop ${container.metadata.name}#${container.metadata.attempt} ${timeout}`);
      this.end(container, 0);
      return {};
    },
    removeContainer: ({ containerId }) => {
      if (this.removalFault) throw new GrpcError(grpcStatus.unknown, this.removalFault);
      this.containers.delete(containerId);
      return {};
    },
  };

  private of(id: string): Container {
    const container = this.containers.get(id);
    if (!container) throw new GrpcError(grpcStatus.notFound, `container ${id} not found`);
    return container;
  }

  private end(container: Container, exitCode: number): void {
    if (container.state !== containerState.running) return;
    Object.assign(container, { state: containerState.exited, exitCode, finishedAt: this.nanos() });
  }

  private matching<T extends { labels: Labels }>(all: Map<string, T>, filter: Request['filter']): T[] {
    const wanted = Object.entries(filter?.labelSelector ?? {});
    return [...all.values()].filter(({ labels }) => wanted.every(([key, value]) => labels[key] === value));
  }

  /** Later objects are newer, also within one moment of a clock that stands still. */
  private nanos(): number {
    return this.clock.now() * 1e6 + this.made * 1000;
  }
}
