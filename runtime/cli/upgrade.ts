import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { DEFAULT_CONFIG, loadConfig } from '../config/config.ts';
import type { Config } from '../config/schema.ts';
import { EdgeError, errorText } from '../core/errors.ts';
import { armTrial, installBundle } from '../upgrade/install.ts';
import type { FileSlots, Outcome, SlotState, TrialRequest } from '../upgrade/slots.ts';
import { systemsAt } from '../upgrade/system.ts';
import { systemTarget } from '../upgrade/system-install.ts';
import type { SystemSlots } from '../upgrade/system-slots.ts';
import { slotsAt } from '../upgrade/upgrade.ts';
import { readArgs } from './arguments.ts';
import type { CliContext, Command } from './cli.ts';
import { outputOption, printed } from './output.ts';
import { hasJoined, runningPid, runningState } from './running.ts';
import { forgetRestarts } from './service.ts';

const usage = `edgecore upgrade: another version of edgecore, or of the whole system, kept only if it is well

  upgrade SOURCE           install the signed bundle SOURCE, a file or URL, and try it
  upgrade --status         which versions are here, and what became of the last upgrade

  --force                  also a version that is not newer
  --within SECONDS         time that the new version has to reach what the old one had, default 180
  --without-link           the new version need not reach the cloud
  --no-wait                return when the trial begins
  --keys DIR               public keys of those who may sign bundles, default modules.taskManager.upgradeKeys
  --config FILE            edgecore's configuration, default ${DEFAULT_CONFIG}
  --output json|yaml       for programs

The new version lies beside the old one and is started once. It is kept when for ten seconds its store can be written,
the link to the cloud and the container runtime are there if they were before, and the pods that ran run. If not, or if
it ends, hangs, or the power goes before, the old version starts again and says why.

On a gateway that started from an image SOURCE may also be a whole system for its board: it is written to the slot that
is not in use, and the machine restarts to try it.
`;

const confirmUsage = `edgecore confirm: let an upgrade that the cloud wants go on, or keep the version that is on trial

A NodeUpgradeJob with requireConfirmation waits for this. A version on trial is kept without waiting for its health to
be seen.

  --config FILE            edgecore's configuration, default ${DEFAULT_CONFIG}
`;

const rollbackUsage = `edgecore rollback: end a trial, or go back to the version before the last upgrade

  --reason TEXT            what is noted
  --config FILE            edgecore's configuration, default ${DEFAULT_CONFIG}

What is in the store stays: the version before brings it back to the form that it knows.
`;

const where = { config: { type: 'string', default: DEFAULT_CONFIG } } as const;
/** It has to be well for ten of them. */
const SHORTEST = 15;
const LONGEST = 3600;
const ASK_AGAIN = 250;
/** How long whoever watches over edgecore may take to start it anew, ms. */
const START_LIMIT = 60_000;

/** `edgecore upgrade`.
 * @source KubeEdge keadm upgrade edge, keadm ctl confirm, keadm rollback edge */
export const upgrade: Command = {
  usage,
  async run(args, context) {
    const { values, positionals } = readArgs(args, args.includes('--status') ? [] : ['SOURCE'], {
      ...where,
      ...outputOption,
      status: { type: 'boolean', default: false },
      force: { type: 'boolean', default: false },
      within: { type: 'string', default: '180' },
      'without-link': { type: 'boolean', default: false },
      'no-wait': { type: 'boolean', default: false },
      keys: { type: 'string' },
    });
    const { slots, systems } = slotsOf(context);
    if (values.status) return status(await slots.state(), await systems?.state(), values.output, context);
    const within = Number(values.within);
    if (!Number.isInteger(within) || within < SHORTEST || within > LONGEST)
      throw new EdgeError('CLI_USAGE', {
        detail: `--within ${values.within}: want seconds, ${SHORTEST} to ${LONGEST}`,
      });
    const config = loadConfig(values.config);
    const [source = ''] = positionals;
    const { keys = config.modules.taskManager.upgradeKeys, force } = values;
    const { slot, version, isSystem } = await installBundle({
      source,
      keys,
      slots,
      version: context.version,
      force,
      system: systems && (() => systemTarget(systems)),
    });
    if (!isSystem && slot === (await slots.state()).current) {
      context.print(`${version} is in use already, with the same content: nothing to do\n`);
      return 0;
    }
    const request = await requestOf(config, {
      version,
      from: context.version,
      within,
      needsLink: !values['without-link'],
    });
    if (systems && isSystem) {
      await armTrial(systems, slot, request);
      context.print(`${version} is in slot ${slot}; the machine restarts to try it\n`);
      context.print('`edgecore upgrade --status` tells then what became of it\n');
      return restartMachine(systems.parts.loader.rebootArgument);
    }
    await armTrial(slots, slot, request);
    context.print(`${version} is installed beside ${context.version}\n`);
    return begin(config, slots, request, { print: context.print, wait: !values['no-wait'] });
  },
};

export const confirm: Command = {
  usage: confirmUsage,
  async run(args, context) {
    readArgs(args, [], where);
    const { slots, systems } = slotsOf(context);
    if (await slots.allow()) {
      context.print('the upgrade that waits goes on within seconds\n');
      return 0;
    }
    const decided = (await systems?.state())?.trial ? systems : slots;
    const outcome = await (decided ?? slots).confirm(Date.now());
    context.print(`${outcome.version} is kept\n`);
    return 0;
  },
};

export const rollback: Command = {
  usage: rollbackUsage,
  async run(args, context) {
    const { values } = readArgs(args, [], {
      ...where,
      reason: { type: 'string', default: 'asked for by hand' },
    });
    const config = loadConfig(values.config);
    const { slots, systems } = slotsOf(context);
    if (systems && (await isSystemLast(slots, systems))) return leaveSystem(systems, values.reason, context);
    const outcome = await slots.rollback(values.reason, Date.now());
    const restarted = restart(config);
    context.print(
      `${outcome.version} is given up for ${outcome.from}, which ${restarted ? 'is being started' : 'starts next'}\n`,
    );
    return 0;
  },
};

function slotsOf({ slots: places }: CliContext): { slots: FileSlots; systems: SystemSlots | undefined } {
  const slots = slotsAt(places);
  if (!slots) throw new EdgeError('UPGRADE_NO_LAUNCHER');
  return { slots, systems: systemsAt(slots.folder) };
}

/** Whether the last upgrade was one of the system: what was upgraded within an earlier one counts no more. */
async function isSystemLast(slots: FileSlots, systems: SystemSlots): Promise<boolean> {
  const [own, system] = [await slots.state(), await systems.state()];
  if (system.trial) return true;
  return !own.trial && own.previous === undefined && system.previous !== undefined;
}

async function leaveSystem(systems: SystemSlots, reason: string, { print }: CliContext): Promise<number> {
  const { trial } = await systems.state();
  const { version, from } = await systems.rollback(reason, Date.now());
  const isRunning = trial?.phase !== 'armed';
  print(
    `${version} is given up for ${from}${isRunning ? '; the machine restarts to start it' : ', which runs'}\n`,
  );
  return isRunning ? restartMachine(undefined) : 0;
}

/** @param argument for the firmware */
async function restartMachine(argument: string | undefined): Promise<number> {
  try {
    await promisify(execFile)('systemctl', [
      'reboot',
      ...(argument === undefined ? [] : [`--reboot-argument=${argument}`]),
    ]);
    return 0;
  } catch (error) {
    throw new EdgeError('UPGRADE_NO_ACCESS', { detail: errorText(error), cause: error });
  }
}

/** Notes what the version in use has reached. */
async function requestOf(
  config: Config,
  known: Pick<TrialRequest, 'version' | 'from' | 'within' | 'needsLink'>,
): Promise<TrialRequest> {
  const state = await runningState(config);
  return {
    ...known,
    at: new Date().toISOString(),
    needsLink: known.needsLink && (state ? state.link.state === 'online' : hasJoined(config)),
    needsRuntime: state?.runtime.ready ?? false,
    pods: (state?.pods ?? []).filter(({ phase }) => phase === 'Running').map(({ name }) => name),
  };
}

async function begin(
  config: Config,
  slots: FileSlots,
  request: TrialRequest,
  { print, wait }: { print: (text: string) => void; wait: boolean },
): Promise<number> {
  if (!restart(config)) {
    print('edgecore does not run: the next start tries the new version\n');
    return 0;
  }
  print(`edgecore is started anew to try it; it has ${request.within} s to show that it is well\n`);
  if (!wait) return 0;
  const outcome = await outcomeOf(config, slots, request);
  const { version, from, result, reason } = outcome;
  if (result === 'rolled back')
    throw new EdgeError('UPGRADE_NOT_KEPT', { detail: `${version} was given up for ${from}: ${reason}` });
  print(`${version} is kept; \`edgecore rollback\` goes back to ${from}\n`);
  return 0;
}

/** @returns whether there was one to be started anew */
function restart(config: Config): boolean {
  const pid = runningPid(config);
  if (pid === undefined) return false;
  forgetRestarts();
  try {
    process.kill(pid, 'SIGTERM');
    return true;
  } catch (error) {
    throw new EdgeError('UPGRADE_NO_ACCESS', { detail: `process ${pid}: ${errorText(error)}`, cause: error });
  }
}

async function outcomeOf(config: Config, slots: FileSlots, request: TrialRequest): Promise<Outcome> {
  let absentSince: number | undefined;
  const end = performance.now() + request.within * 1000 + 2 * START_LIMIT;
  for (;;) {
    const { outcome } = await slots.state();
    if (outcome?.asked === request.at) return outcome;
    const now = performance.now();
    if (now > end) throw new EdgeError('UPGRADE_BUSY', { detail: 'nothing was decided in its time' });
    if (runningPid(config) !== undefined) absentSince = undefined;
    else absentSince ??= now;
    if (absentSince !== undefined && now - absentSince > START_LIMIT)
      throw new EdgeError('UPGRADE_BUSY', {
        detail: `nobody has started edgecore for ${START_LIMIT / 1000} s; systemctl start edgecore does`,
      });
    await new Promise((resolve) => setTimeout(resolve, ASK_AGAIN));
  }
}

function status(
  state: SlotState,
  system: SlotState | undefined,
  output: string | undefined,
  { print, version }: CliContext,
): number {
  if (output) {
    print(printed({ version, ...state, ...(system && { system }) }, output));
    return 0;
  }
  const { current, previous, trial, outcome } = state;
  print(`in use    ${version} (slot ${current})\n`);
  if (previous) print(`before    slot ${previous}\n`);
  printTrial(trial, 'slot', print);
  if (system) {
    print(
      `system    slot ${system.current}${system.previous ? `, before it slot ${system.previous}` : ''}\n`,
    );
    printTrial(system.trial, 'system in slot', print);
  }
  if (outcome) {
    const { at, from, result, reason } = outcome;
    print(`last      ${at}: ${outcome.version}, from ${from}, ${result}${reason ? `: ${reason}` : ''}\n`);
  }
  return 0;
}

function printTrial(trial: SlotState['trial'], what: string, print: CliContext['print']): void {
  if (!trial) return;
  const when = trial.phase === 'armed' ? 'from the next start on' : 'running now';
  print(`on trial  ${what} ${trial.slot}, ${when}\n`);
}
