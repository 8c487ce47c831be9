import type { Clock } from './core/clock.ts';
import type { Logger } from './core/log.ts';
import type { PodRef, PodStatus } from './core/pod.ts';
import type { LinkState } from './edgehub/link.ts';
import type { Vitals } from './upgrade/gate.ts';
import { type SlotPlaces, slotOf, slotsAt, Upgrade } from './upgrade/upgrade.ts';

export type VitalParts = {
  readonly hub: { readonly online: boolean; readonly state: LinkState };
  readonly agent: {
    readonly runtime: { readonly fault: string | undefined };
    pods(): Iterable<{ readonly ref: PodRef; readonly status: PodStatus | undefined }>;
    tellStatus(): void;
  };
  readonly store: { health(): { readonly reason?: string } };
};

/** The part of the node that watches over an upgrade. */
export function newUpgrade(
  deps: {
    readonly slots: SlotPlaces | undefined;
    readonly assets: readonly string[];
    readonly clock: Clock;
    readonly log: Logger;
    readonly restart: (reason: string) => void;
  },
  parts: VitalParts,
): Upgrade {
  return new Upgrade({
    clock: deps.clock,
    log: deps.log,
    slots: slotsAt(deps.slots),
    own: slotOf(deps.assets[0] ?? '', deps.slots),
    vitals: () => vitalsOf(parts),
    restart: deps.restart,
    changed: () => parts.agent.tellStatus(),
  });
}

/** What an upgrade is judged by. */
export function vitalsOf({ hub, agent, store }: VitalParts): Vitals {
  const { state, reason = state } = hub.state;
  return {
    storeFault: store.health().reason,
    linkUp: hub.online,
    linkFault: reason,
    runtimeFault: agent.runtime.fault,
    pods: new Map(
      [...agent.pods()].map(({ ref, status }) => [
        `${ref.namespace}/${ref.name}`,
        status?.phase === 'Running',
      ]),
    ),
  };
}
