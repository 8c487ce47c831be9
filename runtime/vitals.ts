import { execFile } from 'node:child_process';
import type { Clock } from './core/clock.ts';
import type { Logger } from './core/log.ts';
import type { PodRef, PodStatus } from './core/pod.ts';
import type { LinkState } from './edgehub/link.ts';
import type { Vitals } from './upgrade/gate.ts';
import { systemsAt } from './upgrade/system.ts';
import { type SlotPlace, type SlotPlaces, slotOf, slotsAt, Upgrade } from './upgrade/upgrade.ts';

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
  const { clock, log, slots: places, assets, restart } = deps;
  const found: SlotPlace[] = [];
  const systems = places && systemsAt(places.folder);
  if (systems)
    found.push({
      slots: systems,
      own: systems.parts.own,
      reached: () => systems.reached(),
      leave: () => restartMachine(log),
    });
  const slots = slotsAt(places);
  if (slots) found.push({ slots, own: slotOf(assets[0] ?? '', places), leave: restart });
  return new Upgrade({
    clock,
    log,
    places: found,
    vitals: () => vitalsOf(parts),
    changed: () => parts.agent.tellStatus(),
  });
}

/** The service manager does it, and stops this process in order. */
function restartMachine(log: Logger): void {
  execFile('systemctl', ['reboot'], (error) => {
    if (error) log.error('the machine cannot be restarted', { reason: error.message });
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
