import type { Clock, Timer } from '../core/clock.ts';
import { type KubeObject, kubeTime } from '../core/k8s.ts';
import type { Logger } from '../core/log.ts';
import type { MessageDraft } from '../core/message.ts';
import { millis, minutes } from '../core/units.ts';
import type { RuleView } from './view.ts';

export type StatusReportDeps = {
  readonly clock: Clock;
  readonly log: Logger;
  readonly outbox: {
    /** Resolves when it is on disk. */
    put(subject: string | null, draft: MessageDraft): Promise<void>;
  };
};

type Told = { readonly at: number; readonly text: string; timer: Timer | undefined };

/** How often the cluster hears of a rule that acts all the time. */
const PAUSE = minutes(1);

/** Tells the cluster what becomes of its rules: what they are at once, how often they act once a minute. */
export class StatusReport {
  private readonly deps: StatusReportDeps;
  private readonly told = new Map<string, Told>();

  constructor(deps: StatusReportDeps) {
    this.deps = deps;
  }

  /** @param when `now` for what an operator waits for */
  tell(object: KubeObject, view: () => RuleView, when: 'now' | 'in turn'): void {
    const { clock } = this.deps;
    const key = keyOf(object);
    const known = this.told.get(key);
    const wait = known ? known.at + PAUSE - clock.monotonic() : 0;
    if (when === 'in turn' && known && wait > 0) {
      known.timer ??= clock.after(millis(wait), () => this.tell(object, view, 'now'));
      return;
    }
    known?.timer?.cancel();
    const content = statusOf(object, view());
    const text = JSON.stringify(content);
    this.told.set(key, { at: clock.monotonic(), text, timer: undefined });
    if (known?.text !== text) this.put(object, content);
  }

  forget(object: KubeObject): void {
    const key = keyOf(object);
    this.told.get(key)?.timer?.cancel();
    this.told.delete(key);
  }

  stop(): void {
    for (const { timer } of this.told.values()) timer?.cancel();
    this.told.clear();
  }

  private put({ metadata }: KubeObject, content: unknown): void {
    const { namespace = 'default', name } = metadata;
    const resource = `${namespace}/localrulestatus/${name}`;
    const draft = { source: 'rules', group: 'resource', operation: 'update', resource, content };
    this.deps.outbox.put(`localrule/${namespace}/${name}`, draft).catch((error: unknown) => {
      this.deps.log.warn("a rule's status could not be kept for the cloud", { resource, error });
    });
  }
}

/** What the cloud side makes the object's status of. */
function statusOf({ metadata }: KubeObject, view: RuleView): Record<string, unknown> {
  const { state, fired, firedAt, reason, lastError } = view;
  return {
    uid: metadata.uid ?? '',
    ...(metadata.generation === undefined ? {} : { observedGeneration: metadata.generation }),
    accepted: state !== 'refused',
    // Whether the conditions hold just now changes too often to be told.
    state: state === 'refused' || state === 'stopped' ? state : 'running',
    fired,
    ...(firedAt === undefined ? {} : { lastFired: kubeTime(firedAt) }),
    ...(reason === undefined ? {} : { reason }),
    ...(lastError === undefined ? {} : { lastError }),
  };
}

function keyOf({ metadata }: KubeObject): string {
  return `${metadata.namespace ?? 'default'}/${metadata.name}`;
}
