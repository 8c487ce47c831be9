import { readFileSync, statfsSync } from 'node:fs';
import { availableParallelism, loadavg } from 'node:os';
import { dirname } from 'node:path';
import type { Config } from './config/schema.ts';
import type { Clock } from './core/clock.ts';
import { EdgeError } from './core/errors.ts';
import type { Logger } from './core/log.ts';
import { TaskManager, type TaskManagerDeps, type Upgrader } from './taskmanager/taskmanager.ts';
import type { Vitals } from './upgrade/gate.ts';
import type { FileSlots } from './upgrade/slots.ts';
import { type SlotPlaces, slotsAt, type Upgrade } from './upgrade/upgrade.ts';

export type TaskParts = Pick<TaskManagerDeps, 'store' | 'outbox' | 'pull'> & {
  readonly upgrade: Upgrade;
  readonly vitals: () => Vitals;
};

/** The part of the node that does the cloud's jobs. */
export function taskManager(
  deps: {
    readonly config: Config;
    readonly version: string;
    readonly slots: SlotPlaces | undefined;
    readonly clock: Clock;
    readonly log: Logger;
    readonly restart: (reason: string) => void;
  },
  parts: TaskParts,
): TaskManager {
  const { config, clock, log } = deps;
  const { store, outbox, pull } = parts;
  const shortage = (items: readonly string[]): string | undefined =>
    shortOf(items, dirname(config.database.dataSource));
  const upgrader = upgraderOf(deps, parts);
  return new TaskManager({
    config: config.modules.taskManager,
    clock,
    log,
    store,
    outbox,
    pull,
    shortage,
    upgrader,
  });
}

function upgraderOf(deps: Parameters<typeof taskManager>[0], { upgrade, vitals }: TaskParts): Upgrader {
  const { version, config, restart } = deps;
  const { upgradeKeys: keys, upgradeWithin: within } = config.modules.taskManager;
  const found = slotsAt(deps.slots);
  const slots = (): FileSlots => {
    if (!found) throw new EdgeError('UPGRADE_NO_LAUNCHER');
    return found;
  };
  return {
    version,
    install: async (source, wanted) => {
      // Loaded when it is asked for.
      const { installBundle } = await import('./upgrade/install.ts');
      // As KubeEdge does it: which version is right is the cloud's to say.
      const taken = await installBundle({ source, keys, slots: slots(), version, force: true });
      if (taken.version !== wanted)
        throw new EdgeError('UPGRADE_DAMAGED', { detail: `${source} holds ${taken.version}, not ${wanted}` });
      const { current } = await slots().state();
      if (taken.slot === current)
        throw new EdgeError('UPGRADE_OLDER', { detail: `${wanted} is in use already` });
      return taken.slot;
    },
    begin: async (slot, to, asked) => {
      const now = vitals();
      await slots().setTrial(slot, {
        version: to,
        from: version,
        at: asked,
        within,
        needsLink: now.linkUp,
        needsRuntime: now.runtimeFault === undefined,
        pods: [...now.pods].filter(([, runs]) => runs).map(([name]) => name),
      });
      restart(`to try ${to}`);
    },
    get outcome() {
      return upgrade.outcome;
    },
    onOutcome: (listener) => upgrade.onOutcome(listener),
    takeConfirmation: async () => (await found?.isAllowed()) ?? false,
    wait: async (isWaiting) => slots().wait(isWaiting),
  };
}

/** Of each. @source KubeEdge edge/pkg/taskmanager/actions PreCheck */
const MOST = 0.8;

function shortOf(items: readonly string[], folder: string): string | undefined {
  const used: Readonly<Record<string, () => number>> = {
    cpu: () => (loadavg()[0] ?? 0) / availableParallelism(),
    mem: () => {
      const of = (key: string): number =>
        Number(readFileSync('/proc/meminfo', 'utf8').match(new RegExp(`^${key}:\\s+(\\d+)`, 'm'))?.[1] ?? 1);
      return 1 - of('MemAvailable') / of('MemTotal');
    },
    disk: () => {
      const { blocks, bavail } = statfsSync(folder);
      return 1 - bavail / blocks;
    },
  };
  const short = items
    .map((item) => ({ item, share: Object.hasOwn(used, item) ? (used[item]?.() ?? 0) : 0 }))
    .find(({ share }) => share > MOST);
  return short && `${short.item} is used to ${Math.round(short.share * 100)} %, more than ${MOST * 100} %`;
}
