import type { TrialRequest } from './slots.ts';

/** What a new version shows of itself. */
export type Vitals = {
  /** Why what is written does not reach the disk. */
  readonly storeFault: string | undefined;
  readonly linkUp: boolean;
  /** Why the link is not up. */
  readonly linkFault: string;
  /** Why the container runtime cannot be used. */
  readonly runtimeFault: string | undefined;
  /** NAMESPACE/NAME of the pods that belong to this node, and whether they run. */
  readonly pods: ReadonlyMap<string, boolean>;
};

/** It must be well for so long, ms, before it is kept. */
export const STEADY = 10_000;

/** What a new version has yet to reach of what the one before it had; empty when it is well.
 * A pod that no longer belongs to the node is not missed. */
export function missingIn(vitals: Vitals, request: TrialRequest): string[] {
  const missing: string[] = [];
  if (vitals.storeFault !== undefined) missing.push(`the store cannot be written: ${vitals.storeFault}`);
  if (request.needsLink && !vitals.linkUp) missing.push(`there is no link to the cloud: ${vitals.linkFault}`);
  if (request.needsRuntime && vitals.runtimeFault !== undefined)
    missing.push(`the container runtime cannot be used: ${vitals.runtimeFault}`);
  const stopped = request.pods.filter((pod) => vitals.pods.get(pod) === false);
  if (stopped.length > 0) missing.push(`pods that ran do not run: ${stopped.join(', ')}`);
  return missing;
}

export type Verdict =
  | { readonly kind: 'wait' }
  | { readonly kind: 'confirm' }
  | { readonly kind: 'give up'; readonly reason: string };

/** Decides over a new version, asked again and again. */
export class Gate {
  private readonly request: TrialRequest;
  private readonly startedAt: number;
  private wellSince: number | undefined;

  /** @param now monotonic ms */
  constructor(request: TrialRequest, now: number) {
    this.request = request;
    this.startedAt = now;
  }

  judge(vitals: Vitals, now: number): Verdict {
    const missing = missingIn(vitals, this.request);
    this.wellSince = missing.length > 0 ? undefined : (this.wellSince ?? now);
    if (this.wellSince !== undefined && now - this.wellSince >= STEADY) return { kind: 'confirm' };
    if (now - this.startedAt < this.request.within * 1000) return { kind: 'wait' };
    const reason = missing.length > 0 ? missing.join('; ') : `it was not well for ${STEADY / 1000} s on end`;
    return { kind: 'give up', reason: `after ${this.request.within} s ${reason}` };
  }
}
