import type { Clock, Timer } from '../core/clock.ts';
import { errorText } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import { isRecord, type Message, type MessageDraft } from '../core/message.ts';
import { seconds } from '../core/units.ts';
import type { TaskManagerConfig } from './config.ts';
import { type ActionReport, parseTask, type Task } from './task.ts';

/** What became of an upgrade. */
export type UpgradeOutcome = {
  readonly version: string;
  readonly from: string;
  readonly result: 'confirmed' | 'rolled back';
  readonly reason: string;
  /** As {@link Upgrader.begin} has said. */
  readonly asked: string;
};

/** Another version of edgecore, as a job sees it. */
export interface Upgrader {
  readonly version: string;
  /** Fetches and checks a version. @throws EdgeError UPGRADE_* @returns its slot */
  install(source: string, version: string): Promise<string>;
  /** Has the next start try it, and brings that about. @param asked comes back in the outcome */
  begin(slot: string, version: string, asked: string): Promise<void>;
  /** What became of the last one. */
  readonly outcome: UpgradeOutcome | undefined;
  onOutcome(listener: (outcome: UpgradeOutcome) => void): void;
  /** Whether somebody has said on this machine that what waits may go on; asked again and again. */
  takeConfirmation(): Promise<boolean>;
  /** Somebody has to say so from now on, or no longer. */
  wait(isWaiting: boolean): Promise<void>;
}

export type TaskManagerDeps = {
  readonly config: TaskManagerConfig;
  readonly clock: Clock;
  readonly log: Logger;
  readonly store: {
    durable(work: () => void): Promise<void>;
    readonly meta: {
      put(row: { key: string; type: string; value: string }): void;
      list(type: string): readonly { readonly key: string; readonly value: string }[];
      remove(key: string): void;
    };
  };
  readonly outbox: { put(subject: string | null, draft: MessageDraft): Promise<void> };
  readonly upgrader: Upgrader;
  /** Why the machine has no room for what the items name, `cpu`, `mem`, `disk`; undefined when it has. */
  readonly shortage: (items: readonly string[]) => string | undefined;
  /** Fetches an image. @param secret `NAMESPACE/NAME` or empty; rejects with the reason */
  readonly pull: (image: string, secret: string) => Promise<void>;
};

/** A job that outlives this process: its version is tried by the next one, or it waits for somebody. */
type Kept = { readonly task: Task; readonly slot: string; readonly asked: string };

const TYPE = 'nodeupgradejob';
const LOOK = seconds(2);
const MOST_TRIES = 10;

/** Does what jobs of the cloud ask of this node, and tells each action's end.
 * @source KubeEdge edge/pkg/taskmanager */
export class TaskManager {
  readonly name = 'taskmanager';
  private readonly deps: TaskManagerDeps;
  private readonly log: Logger;
  private readonly busy = new Set<string>();
  private timer: Timer | undefined;

  constructor(deps: TaskManagerDeps) {
    this.deps = deps;
    this.log = deps.log.child('taskmanager');
  }

  async start(): Promise<void> {
    const { upgrader } = this.deps;
    upgrader.onOutcome((outcome) => this.concluded(outcome));
    if (upgrader.outcome) this.concluded(upgrader.outcome);
    if (this.kept().some(({ asked }) => asked === '')) await this.await();
  }

  async stop(): Promise<void> {
    this.timer?.cancel();
  }

  /** A message of group taskmanager. What cannot be done is told the cloud. */
  handle(message: Message): void {
    const task = parseTask(message);
    if (!task) {
      this.log.warn('a job of the cloud is not understood', { resource: message.route.resource });
      return;
    }
    // The cloud sends again what it has heard nothing of.
    const isUnderWay = this.kept().some(({ task: { resource } }) => resource === task.resource);
    if (this.busy.has(task.resource) || isUnderWay) return;
    this.busy.add(task.resource);
    this.log.info('a job of the cloud', { resource: task.resource });
    this.run(task)
      .catch((error: unknown) =>
        this.log.error('a job of the cloud failed', { resource: task.resource, error }),
      )
      .finally(() => this.busy.delete(task.resource));
  }

  private async run(task: Task): Promise<void> {
    if (!this.deps.config.enable)
      return this.failed(task, task.action, 'modules.taskManager.enable is false on this node');
    switch (task.kind) {
      case 'nodeupgradejob':
        return this.upgrade(task);
      case 'imageprepulljob':
        return this.prepull(task);
      default:
        return this.failed(task, task.action, `${task.kind} is not offered by edgecore`);
    }
  }

  /** Check → WaitingConfirmation → BackUp → Upgrade; the last one's end is told by {@link concluded}. */
  private async upgrade(task: Task): Promise<void> {
    const checked = await this.attempt(task, 'Check', () => this.checkUpgrade(task));
    if (checked === undefined) return;
    await this.report(task, { action: 'Check', succ: true });
    await this.report(task, { action: 'WaitingConfirmation', succ: true });
    if (task.spec.requireConfirmation !== true) return this.goOn({ task, slot: checked, asked: '' });
    await this.keep({ task, slot: checked, asked: '' });
    this.log.info('an upgrade waits: edgecore confirm lets it go on', { resource: task.resource });
    await this.await();
  }

  /** @returns the slot */
  private checkUpgrade({ spec }: Task): Promise<string> {
    const { config, upgrader, shortage } = this.deps;
    const short = shortage(strings(spec.checkItems));
    if (short !== undefined) throw new Error(short);
    const version = versionOf(spec);
    if (!config.bundleSource)
      throw new Error('modules.taskManager.bundleSource says nothing: there is nowhere to fetch it from');
    const source = config.bundleSource
      .replaceAll('{version}', version)
      .replaceAll('{platform}', `${process.platform}-${process.arch}`);
    return upgrader.install(source, version);
  }

  private async goOn({ task, slot }: Kept): Promise<void> {
    const { upgrader, clock } = this.deps;
    const version = versionOf(task.spec);
    const extend = `${upgrader.version},${version}`;
    // The version in use stays in its slot, and the store knows the way back: there is nothing to copy.
    await this.report(task, { action: 'BackUp', succ: true, extend });
    const asked = new Date(clock.now()).toISOString();
    await this.keep({ task, slot, asked });
    const begun = await this.attempt(task, 'Upgrade', async () => {
      await upgrader.begin(slot, version, asked);
      return true;
    });
    if (!begun) await this.forget(task);
  }

  /** The trial of a job's version has ended, in this process or before it. */
  private concluded(outcome: UpgradeOutcome): void {
    const kept = this.kept().find(({ asked }) => asked !== '' && asked === outcome.asked);
    if (kept)
      void this.conclude(kept.task, outcome).catch((error) =>
        this.log.error('a job could not be ended', { error }),
      );
  }

  private async conclude(task: Task, { result, reason, from, version }: UpgradeOutcome): Promise<void> {
    const succ = result === 'confirmed';
    await this.report(task, { action: 'Upgrade', succ, reason, extend: `${from},${version}` });
    if (!succ) await this.report(task, { action: 'RollBack', succ: true, extend: `${version},${from}` });
    await this.forget(task);
  }

  private async prepull(task: Task): Promise<void> {
    const template = isRecord(task.spec.imagePrePullTemplate) ? task.spec.imagePrePullTemplate : {};
    const short = this.deps.shortage(strings(template.checkItems));
    if (short !== undefined) return this.failed(task, 'Check', short);
    await this.report(task, { action: 'Check', succ: true });
    const tries = 1 + Math.min(MOST_TRIES, Math.max(0, Math.floor(Number(template.retryTimes) || 0)));
    const secret = typeof template.imageSecrets === 'string' ? template.imageSecrets : '';
    const images = [];
    for (const image of strings(template.images)) {
      const reason = await this.pulled(image, secret, tries);
      images.push({ image, status: reason === '' ? 'True' : 'False', ...(reason ? { reason } : {}) });
    }
    const missing = images.filter(({ status }) => status === 'False').map(({ image }) => image);
    const reason = missing.length > 0 ? `cannot be pulled: ${missing.join(', ')}` : '';
    await this.report(task, { action: 'Pull', succ: reason === '', reason, extend: JSON.stringify(images) });
  }

  /** @returns why not; empty when it is here */
  private async pulled(image: string, secret: string, tries: number): Promise<string> {
    let reason = '';
    for (let attempt = 0; attempt < tries; attempt++) {
      try {
        await this.deps.pull(image, secret);
        return '';
      } catch (error) {
        reason = errorText(error);
      }
    }
    return reason;
  }

  private async attempt<T>(task: Task, action: string, work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      await this.failed(task, action, errorText(error));
      return undefined;
    }
  }

  private failed(task: Task, action: string, reason: string): Promise<void> {
    this.log.warn('an action of a job failed', { resource: task.resource, reason });
    return this.report(task, { action, succ: false, reason });
  }

  /** Kept until the cloud has it. @source KubeEdge edge/pkg/common/message ReportNodeTaskStatus */
  private report(
    { resource }: Task,
    { reason = '', extend = '', ...said }: Pick<ActionReport, 'action' | 'succ'> & Partial<ActionReport>,
  ): Promise<void> {
    const finishTime = new Date(this.deps.clock.now()).toISOString().replace(/\.\d+Z$/, 'Z');
    const content: ActionReport = { ...said, finishTime, reason, extend };
    const operation = 'UpdateNodeActionStatus';
    return this.deps.outbox.put(null, { source: 'websocket', group: 'hub', operation, resource, content });
  }

  /** Looks whether somebody has confirmed what waits. */
  private async await(): Promise<void> {
    const { clock, upgrader } = this.deps;
    await upgrader.wait(true);
    this.timer ??= clock.every(LOOK, () => void this.look());
  }

  private async look(): Promise<void> {
    const { upgrader } = this.deps;
    if (!(await upgrader.takeConfirmation())) return;
    this.timer?.cancel();
    this.timer = undefined;
    await upgrader.wait(false);
    const waiting = this.kept().find(({ asked }) => asked === '');
    if (waiting) await this.goOn(waiting);
  }

  private keep(kept: Kept): Promise<void> {
    const { store } = this.deps;
    const key = keyOf(kept.task);
    return store.durable(() => store.meta.put({ key, type: TYPE, value: JSON.stringify(kept) }));
  }

  private forget(task: Task): Promise<void> {
    const { store } = this.deps;
    return store.durable(() => store.meta.remove(keyOf(task)));
  }

  private kept(): Kept[] {
    return this.deps.store.meta.list(TYPE).map(({ value }) => JSON.parse(value) as Kept);
  }
}

function keyOf({ job }: Task): string {
  return `null/${TYPE}/${job}`;
}

/** KubeEdge writes v1.2.3. @throws Error */
function versionOf({ version }: Task['spec']): string {
  if (typeof version === 'string' && /^v?\d+\.\d+\.\d+(-[\w.]+)?$/.test(version))
    return version.replace(/^v/, '');
  throw new Error(`spec.version ${version} is none: want vX.Y.Z`);
}

function strings(list: unknown): string[] {
  return Array.isArray(list) ? list.filter((item) => typeof item === 'string') : [];
}
