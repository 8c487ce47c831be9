import type { Clock, Timer } from '../core/clock.ts';
import { errorText } from '../core/errors.ts';
import type { CoreEvent } from '../core/k8s.ts';
import type { Logger } from '../core/log.ts';
import type { Container, Pod, PodRef, PodStatus } from '../core/pod.ts';
import { millis, seconds } from '../core/units.ts';
import type { CriCall } from '../wire/cri.ts';
import { podEvent } from './events.ts';
import { StartError } from './images.ts';
import type { LogFile } from './kubelet-api.ts';
import { latest, nothingObserved, type ObservedPod } from './observed.ts';
import { type PodPlan, planPod } from './plan.ts';
import { PodRuntime, type PodRuntimeDeps } from './pod-runtime.ts';
import { Probes } from './probes.ts';
import { RestartBackoff } from './restart-backoff.ts';
import { podStatus, type Waiting } from './status.ts';

export type PodWorkerDeps = PodRuntimeDeps & {
  readonly call: CriCall;
  readonly clock: Clock;
  readonly log: Logger;
  readonly report: (pod: PodRef, status: PodStatus) => void;
  readonly event: (event: CoreEvent) => void;
  /** Nothing is left of the pod here. */
  readonly gone: (worker: PodWorker, told: boolean) => void;
  /** undefined while the runtime works, else why not. */
  readonly runtimeFault: () => string | undefined;
};

/** How often a pod is looked at although nothing seems to have happened: tokens and configuration are refreshed then. */
const RESYNC = seconds(60);
const RETRY = seconds(10);
/** How often the remains of a pod that has ended are tried before the cluster hears that it has. */
const MOST_TRIES = 3;
const DEFAULT_GRACE = 30;
const LEAST_GRACE = 2;

/** Brings one pod about and keeps it so; one thing at a time. */
export class PodWorker {
  pod: Pod;
  status: PodStatus | undefined;
  private readonly deps: PodWorkerDeps;
  private readonly runtime: PodRuntime;
  private readonly probes: Probes;
  private readonly backoff = new RestartBackoff();
  private readonly waiting = new Map<string, Waiting>();
  private observed: Pick<ObservedPod, 'containers'> = nothingObserved;
  private removed = false;
  private running = false;
  private again = false;
  private stopped = false;
  private timer: Timer | undefined;
  private told = '';
  private complaint = '';
  /** How often its remains could not be removed. */
  private clung = 0;

  constructor(deps: PodWorkerDeps, pod: Pod) {
    this.deps = deps;
    this.pod = pod;
    this.status = pod.status;
    this.runtime = new PodRuntime(deps, pod.metadata.uid ?? '');
    this.probes = new Probes({
      call: deps.call,
      clock: deps.clock,
      podIP: () => this.runtime.podIP,
      changed: () => this.poke(),
      failed: (name, kind, why) =>
        this.event('Warning', 'Unhealthy', `${name}: ${kind} probe failed: ${why}`),
    });
  }

  get ref(): PodRef {
    const { name, namespace = 'default', uid = '' } = this.pod.metadata;
    return { name, namespace, uid };
  }

  get terminating(): boolean {
    return this.removed || this.pod.metadata.deletionTimestamp !== undefined;
  }

  update(pod: Pod): void {
    this.pod = pod;
    this.retryNow();
  }

  /** The cluster no longer has it. */
  remove(): void {
    this.removed = true;
    this.poke();
  }

  /** What held it up may be gone: configuration came, or the link did. */
  retryNow(): void {
    this.backoff.clear();
    this.poke();
  }

  /** Looks at the pod now, or again when it is being looked at. */
  poke(): void {
    if (this.stopped) return;
    if (this.running) {
      this.again = true;
      return;
    }
    this.timer?.cancel();
    this.running = true;
    void this.turn();
  }

  /** Where the log of a container's last run lies, or of the run before. */
  logFile(container: string, previous: boolean): LogFile | { missing: string } {
    const name = `container ${container} of pod ${this.name}`;
    if (!this.specOf(container)) return { missing: `there is no ${name}` };
    const runs = this.observed.containers.filter((c) => c.name === container);
    const run = runs[previous ? 1 : 0];
    if (!run) return { missing: `${name} has not run${previous ? ' before' : ' yet'}` };
    return {
      path: run.logPath,
      ended: () => latest(this.observed, container)?.id !== run.id || !this.runs(run.id),
    };
  }

  /** Lets go of it; its containers run on. */
  stop(): void {
    this.stopped = true;
    this.timer?.cancel();
    this.probes.stop();
  }

  private async turn(): Promise<void> {
    let next = RESYNC;
    try {
      next = this.terminating ? await this.terminate() : await this.sync();
    } catch (error) {
      next = RETRY;
      this.troubled(error);
    }
    this.running = false;
    if (this.stopped) return;
    if (this.again) {
      this.again = false;
      this.poke();
    } else this.timer = this.deps.clock.after(next, () => this.poke());
  }

  private async sync() {
    const fault = this.deps.runtimeFault();
    if (fault) {
      this.hold('ContainerRuntimeNotReady', fault);
      return RESYNC;
    }
    let observed = await this.runtime.observe(this.pod);
    let plan = this.plan(observed);
    if (plan.createSandbox) {
      await this.createSandbox(observed, plan);
      observed = await this.runtime.observe(this.pod);
      plan = this.plan(observed);
    }
    const [sandbox] = observed.sandboxes;
    if (sandbox?.ready) await this.runtime.learnAddress(this.pod, sandbox.id);
    if (plan.finished) await this.runtime.stopSandboxes(observed);
    else if (sandbox) observed = await this.carryOut(plan, observed, sandbox.id);
    await this.tidy(observed);
    if (!plan.finished && plan.start.length === 0 && plan.kill.length === 0) await this.refreshVolumes();
    this.watch(observed);
    this.complaint = '';
    this.tell(observed);
    return plan.wakeAt > 0 ? millis(Math.max(100, plan.wakeAt - this.deps.clock.now())) : RESYNC;
  }

  private plan(observed: ObservedPod): PodPlan {
    const now = this.deps.clock.now();
    for (const container of this.pod.spec.containers) {
      const last = latest(observed, container.name);
      if (last?.state === 'exited') this.noteExit(last.name, observed);
      if (last?.state === 'running') this.waiting.delete(container.name);
    }
    return planPod({
      pod: this.pod,
      observed,
      now,
      notBefore: (name) => this.backoff.notBefore(name, now),
      unhealthy: this.probes.unhealthy(),
      isStarted: (id) => this.probes.isStarted(id),
    });
  }

  private noteExit(name: string, observed: ObservedPod): void {
    const last = latest(observed, name);
    if (!last) return;
    this.backoff.exited(last);
    const now = this.deps.clock.now();
    const wait = this.backoff.notBefore(name, now) - now;
    if (wait <= 0 || this.waiting.has(name) || this.pod.spec.restartPolicy === 'Never') return;
    const message = `back-off ${Math.round(wait / 1000)}s restarting failed container=${name} pod=${this.ref.name}`;
    this.waiting.set(name, { reason: 'CrashLoopBackOff', message });
    this.event('Warning', 'BackOff', message);
  }

  private async createSandbox(observed: ObservedPod, plan: PodPlan): Promise<void> {
    for (const { container } of plan.kill)
      await this.runtime.stopContainer(container, this.specOf(container.name), this.grace());
    try {
      await this.runtime.createSandbox(this.pod, observed);
    } catch (error) {
      this.complain('FailedCreatePodSandBox', errorText(error));
      throw error;
    }
  }

  private async carryOut(plan: PodPlan, observed: ObservedPod, sandboxId: string): Promise<ObservedPod> {
    for (const { container, reason } of plan.kill) {
      this.event('Normal', 'Killing', `stopping container ${container.name}: ${reason}`);
      await this.runtime.stopContainer(container, this.specOf(container.name), this.grace());
    }
    for (const { container, attempt } of plan.start) await this.start(container, attempt, sandboxId);
    if (plan.kill.length > 0) this.again = true;
    return plan.kill.length + plan.start.length > 0 ? this.runtime.observe(this.pod) : observed;
  }

  private async start(container: Container, attempt: number, sandboxId: string): Promise<void> {
    const { name } = container;
    try {
      await this.runtime.start(this.pod, container, attempt, sandboxId);
      this.backoff.clear(name);
      this.waiting.delete(name);
      this.event('Normal', 'Started', `started container ${name}`);
    } catch (error) {
      if (!(error instanceof StartError)) throw error;
      const known = this.waiting.get(name);
      // A pull that failed before is a series: the status says that the next try waits.
      const repeated =
        error.reason === 'ErrImagePull' && known !== undefined && known.reason !== 'ContainerCreating';
      this.waiting.set(name, {
        reason: repeated ? 'ImagePullBackOff' : error.reason,
        message: error.message,
      });
      this.backoff.failed(name, this.deps.clock.now());
      this.event('Warning', 'Failed', `container ${name}: ${error.reason}: ${error.message}`);
      // This plan does not know yet when to try again; the next one does.
      this.again = true;
    }
  }

  /** Removes the remains of runs before the last two. */
  private async tidy(observed: ObservedPod): Promise<void> {
    const seen = new Map<string, number>();
    for (const container of observed.containers) {
      const count = (seen.get(container.name) ?? 0) + 1;
      seen.set(container.name, count);
      if (count > 2 && container.state === 'exited') await this.runtime.removeContainer(container.id);
    }
  }

  private async refreshVolumes(): Promise<void> {
    try {
      await this.runtime.volumes(this.pod);
    } catch (error) {
      // What is mounted stays as it is.
      this.complain('FailedMount', errorText(error));
    }
  }

  private watch(observed: ObservedPod): void {
    const running = observed.containers.flatMap((container) => {
      const spec = this.specOf(container.name);
      return container.state === 'running' && spec ? [{ observed: container, container: spec }] : [];
    });
    this.probes.watch(running);
  }

  private async terminate() {
    this.probes.stop();
    const fault = this.deps.runtimeFault();
    // Where no container ever ran there is nothing to wait for.
    if (fault && this.everRan()) return RETRY;
    if (!fault) {
      let observed = await this.runtime.observe(this.pod);
      const grace = this.grace();
      const running = observed.containers.filter((c) => c.state === 'running');
      await Promise.all(running.map((c) => this.runtime.stopContainer(c, this.specOf(c.name), grace)));
      if (running.length > 0) observed = await this.runtime.observe(this.pod);
      this.waiting.clear();
      if (!this.removed) this.tell(observed);
      await this.clear(observed);
    }
    this.stop();
    this.deps.gone(this, this.removed);
    return RESYNC;
  }

  /** What the runtime will not give up, although nothing of it runs, does not keep the pod in the cluster for ever: it is
   * removed later, as all that the cluster does not know.
   * @source kubelet: a pod has ended when its containers have */
  private async clear(observed: ObservedPod): Promise<void> {
    try {
      await this.runtime.removeAll(this.pod, observed);
    } catch (error) {
      const runs = observed.containers.some((c) => c.state !== 'exited');
      if (this.removed || runs || ++this.clung < MOST_TRIES) throw error;
      this.deps.log.warn('a pod has ended, but its remains cannot be removed yet', {
        pod: this.name,
        reason: errorText(error),
      });
    }
  }

  private everRan(): boolean {
    const statuses = [
      ...(this.status?.containerStatuses ?? []),
      ...(this.status?.initContainerStatuses ?? []),
    ];
    return statuses.some((s) => s.containerID);
  }

  private grace(): number {
    const { deletionGracePeriodSeconds } = this.pod.metadata;
    const wanted = deletionGracePeriodSeconds ?? this.pod.spec.terminationGracePeriodSeconds ?? DEFAULT_GRACE;
    return wanted === 0 ? 0 : Math.max(LEAST_GRACE, wanted);
  }

  private specOf(name: string): Container | undefined {
    return [...this.pod.spec.containers, ...(this.pod.spec.initContainers ?? [])].find(
      (c) => c.name === name,
    );
  }

  private troubled(error: unknown): void {
    const fault = this.deps.runtimeFault();
    this.hold(fault ? 'ContainerRuntimeNotReady' : 'ContainerCreating', fault ?? errorText(error));
    this.deps.log.warn('a pod could not be brought about', { pod: this.name, reason: errorText(error) });
  }

  /** Says of every container that does not run why it waits. */
  private hold(reason: string, message: string): void {
    this.complain('FailedCreatePodContainer', message);
    // While the runtime is away its containers may run on: what was told of them last still holds.
    if (this.terminating || this.everRan()) return;
    for (const { name } of this.pod.spec.containers) this.waiting.set(name, { reason, message });
    this.tell({ ...this.ref, ...nothingObserved });
  }

  private runs(id: string): boolean {
    return this.observed.containers.some((c) => c.id === id && c.state === 'running');
  }

  private tell(observed: ObservedPod): void {
    const { deps } = this;
    this.observed = observed;
    const status = podStatus({
      pod: this.pod,
      observed,
      previous: this.status ?? this.pod.status,
      now: deps.clock.now(),
      hostIP: deps.hostIP(),
      podIP: this.runtime.podIP,
      waiting: this.waiting,
      isReady: (id) => this.probes.isReady(id),
      isStarted: (id) => this.probes.isStarted(id),
      terminating: this.terminating,
    });
    this.status = status;
    const text = JSON.stringify(status);
    if (text === this.told) return;
    this.told = text;
    deps.report(this.ref, status);
  }

  /** An event for a trouble, once for as long as it lasts. */
  private complain(reason: string, message: string): void {
    if (this.complaint === `${reason} ${message}`) return;
    this.complaint = `${reason} ${message}`;
    this.event('Warning', reason, message);
  }

  private event(type: 'Normal' | 'Warning', reason: string, message: string): void {
    this.deps.event(podEvent(this.pod, { type, reason, message }, this.deps.node, this.deps.clock.now()));
  }

  private get name(): string {
    return `${this.ref.namespace}/${this.ref.name}`;
  }
}
