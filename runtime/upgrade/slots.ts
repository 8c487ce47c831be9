import { join } from 'node:path';
import { EdgeError } from '../core/errors.ts';
import { type Disk, linkDurably, systemDisk, writeDurably } from './disk.ts';

/** The version that the package brought: the slot that is always there. */
export const BASE = 'base';

/** What was so before an upgrade: the new version must reach it again. */
export type TrialRequest = {
  readonly version: string;
  readonly from: string;
  /** ISO 8601. */
  readonly at: string;
  /** Seconds that the new version has to show that it is well. */
  readonly within: number;
  /** Whether it must reach the cloud. */
  readonly needsLink: boolean;
  /** Whether it must reach the container runtime. */
  readonly needsRuntime: boolean;
  /** NAMESPACE/NAME of the pods that ran. */
  readonly pods: readonly string[];
};

/** What became of the last upgrade. */
export type Outcome = {
  readonly slot: string;
  readonly version: string;
  readonly from: string;
  readonly result: 'confirmed' | 'rolled back';
  /** Why it was rolled back. */
  readonly reason: string;
  readonly at: string;
  /** `at` of the {@link TrialRequest}; empty for a version that was in use. Clocks jump: it is compared, not ordered. */
  readonly asked: string;
};

export type SlotState = {
  /** The slot that starts. */
  readonly current: string;
  /** The slot that {@link SlotAdapter.rollback} goes back to; undefined when there is none. */
  readonly previous: string | undefined;
  /** The slot that is tried: at the next start, or now. */
  readonly trial: { readonly slot: string; readonly phase: 'armed' | 'running' } | undefined;
  readonly request: TrialRequest | undefined;
  readonly outcome: Outcome | undefined;
};

/** Two places for the software, one of which always starts: folders ({@link FileSlots}), or a bootloader's partitions
 * (SystemSlots). Every method is one step: done, or as it was before, whenever the power goes. */
export interface SlotAdapter {
  state(): Promise<SlotState>;
  /** The next start takes `slot`, once: the one after it takes the current slot again, unless it was confirmed. */
  setTrial(slot: string, request: TrialRequest): Promise<void>;
  /** The slot that is tried becomes the current one. @throws EdgeError UPGRADE_NOTHING */
  confirm(now: number): Promise<Outcome>;
  /** Gives up the slot that is tried or, when there is none, goes back to the previous one.
   * @throws EdgeError UPGRADE_NOTHING */
  rollback(reason: string, now: number): Promise<Outcome>;
  /** Ends what the power, or a crash, has left half-done. Called by a process that owns the state and is not on trial.
   * @returns the outcome that nobody had noted yet */
  recover(now: number): Promise<Outcome | undefined>;
}

/** Slots as folders beside the state. What is in use is said by links, which change in one step; the launcher reads them:
 *
 * | name           | what                                                                               |
 * | -------------- | ---------------------------------------------------------------------------------- |
 * | `<slot>/`      | a version, complete; `<slot>/replaces` names the slot that it took the place of    |
 * | `current`      | link to the slot that starts; the package's own while there is none                |
 * | `trial`        | link to the slot that the next start tries; the launcher renames it to `trying`    |
 * | `trying`       | link to the slot that was started so; while it is there, other starts take current |
 * | `request.json` | {@link TrialRequest}                                                               |
 * | `patience`     | seconds after which the launcher ends a trial that is still unconfirmed            |
 * | `hung`         | the launcher had to                                                                |
 * | `outcome.json` | {@link Outcome}                                                                    |
 * | `waiting`      | an upgrade of the cloud's waits for `edgecore confirm`, which makes `allowed`      |
 * | `base`         | version of the package; when the package's is another, the links count no more     |
 */
export class FileSlots implements SlotAdapter {
  readonly folder: string;
  private readonly disk: Disk;
  private readonly baseVersion: string;

  /** @param baseVersion of the package that is installed */
  constructor(folder: string, baseVersion: string, disk: Disk = systemDisk) {
    this.folder = folder;
    this.baseVersion = baseVersion;
    this.disk = disk;
  }

  async state(): Promise<SlotState> {
    const { disk, folder } = this;
    const outcome = await this.json<Outcome>('outcome.json');
    const none = { current: BASE, previous: undefined, trial: undefined, request: undefined, outcome };
    if ((await this.text('base')) !== this.baseVersion) return none;
    // In the order in which a trial goes through them: launcher and edgecore change them meanwhile.
    const armed = await disk.readLink(join(folder, 'trial'));
    const running = await disk.readLink(join(folder, 'trying'));
    const current = (await disk.readLink(join(folder, 'current'))) ?? BASE;
    const slot = armed ?? running;
    // What is current is not on trial any more: the power went before the link was removed.
    const trial =
      slot && slot !== current
        ? { slot, phase: armed ? ('armed' as const) : ('running' as const) }
        : undefined;
    return {
      current,
      previous: await this.previousOf(current),
      trial,
      request: await this.json<TrialRequest>('request.json'),
      outcome,
    };
  }

  async setTrial(slot: string, request: TrialRequest): Promise<void> {
    const { disk, folder } = this;
    await disk.makeFolder(folder);
    await this.adopt();
    const { current } = await this.state();
    for (const name of ['trying', 'hung']) await disk.remove(join(folder, name));
    await writeDurably(disk, folder, 'request.json', `${JSON.stringify(request)}\n`);
    await writeDurably(disk, folder, 'patience', `${request.within + PATIENCE}\n`);
    // The slot in use may be tried again; what it replaced stays what it was.
    if (slot !== current) await writeDurably(disk, join(folder, slot), 'replaces', `${current}\n`);
    await linkDurably(disk, folder, 'trial', slot);
  }

  async confirm(now: number): Promise<Outcome> {
    const { trial, current, request } = await this.state();
    if (trial?.phase !== 'running')
      throw new EdgeError('UPGRADE_NOTHING', { detail: 'no new version is on trial' });
    await linkDurably(this.disk, this.folder, 'current', trial.slot);
    return this.end({ slot: trial.slot, from: current, result: 'confirmed', reason: '' }, request, now);
  }

  async rollback(reason: string, now: number): Promise<Outcome> {
    const { trial, current, previous, request } = await this.state();
    if (trial)
      return this.end({ slot: trial.slot, from: current, result: 'rolled back', reason }, request, now);
    if (previous === undefined)
      throw new EdgeError('UPGRADE_NOTHING', { detail: 'there is no earlier version to go back to' });
    await this.turnTo(previous);
    return this.end({ slot: current, from: previous, result: 'rolled back', reason }, undefined, now);
  }

  async recover(now: number): Promise<Outcome | undefined> {
    const { disk, folder } = this;
    await this.adopt();
    const running = await disk.readLink(join(folder, 'trying'));
    if (running === undefined) return undefined;
    const { current, request, outcome } = await this.state();
    const noted = outcome?.slot === running && outcome.asked === request?.at;
    if (noted) {
      await this.forgetTrial();
      return undefined;
    }
    const hung = (await this.text('hung')) !== undefined;
    const reason = hung
      ? `it did not show that it is well within ${(await this.text('patience')) ?? '?'} s and was ended`
      : 'it ended, or the power went, before it was confirmed';
    return running === current
      ? this.end({ slot: running, from: request?.from ?? '', result: 'confirmed', reason: '' }, request, now)
      : this.end({ slot: running, from: current, result: 'rolled back', reason }, request, now);
  }

  /** Somebody has to say whether an upgrade may go on, from now on or no longer. */
  async wait(isWaiting: boolean): Promise<void> {
    const { disk, folder } = this;
    await disk.makeFolder(folder);
    if (isWaiting) return writeDurably(disk, folder, 'waiting', '');
    for (const name of ['waiting', 'allowed']) await disk.remove(join(folder, name));
  }

  /** Lets an upgrade that waits go on. @returns whether one does */
  async allow(): Promise<boolean> {
    if ((await this.text('waiting')) === undefined) return false;
    await writeDurably(this.disk, this.folder, 'allowed', '');
    return true;
  }

  /** Whether somebody has said that it may. */
  async isAllowed(): Promise<boolean> {
    return (await this.text('allowed')) !== undefined;
  }

  /** Slots that neither are nor may become current. */
  async unused(): Promise<string[]> {
    const { current, previous, trial } = await this.state();
    const used = new Set([current, previous, trial?.slot]);
    return (await this.disk.list(this.folder)).filter((name) => /^\d/.test(name) && !used.has(name));
  }

  private async previousOf(slot: string): Promise<string | undefined> {
    const found = slot === BASE ? undefined : await this.text(`${slot}/replaces`);
    if (found === undefined || found === BASE) return found;
    return (await this.disk.read(join(this.folder, found, 'manifest.json'))) && found;
  }

  /** When the package was changed, it is what counts: what was upgraded before it is let go. */
  private async adopt(): Promise<void> {
    const { disk, folder } = this;
    const known = await this.text('base');
    if (known === this.baseVersion) return;
    if (known !== undefined) {
      for (const name of ['current', 'trial', 'trying']) await disk.remove(join(folder, name));
      await disk.syncFolder(folder);
    } else await disk.makeFolder(folder);
    await writeDurably(disk, folder, 'base', `${this.baseVersion}\n`);
  }

  private async turnTo(slot: string): Promise<void> {
    const { disk, folder } = this;
    if (slot !== BASE) return linkDurably(disk, folder, 'current', slot);
    await disk.remove(join(folder, 'current'));
    await disk.syncFolder(folder);
  }

  private async end(
    what: Pick<Outcome, 'slot' | 'from' | 'result' | 'reason'>,
    request: TrialRequest | undefined,
    now: number,
  ): Promise<Outcome> {
    const version = versionOf(what.slot, this.baseVersion);
    const from =
      what.result === 'confirmed' && request ? request.from : versionOf(what.from, this.baseVersion);
    const at = new Date(now).toISOString();
    const outcome: Outcome = { ...what, version, from, at, asked: request?.at ?? '' };
    await writeDurably(this.disk, this.folder, 'outcome.json', `${JSON.stringify(outcome)}\n`);
    await this.forgetTrial();
    return outcome;
  }

  private async forgetTrial(): Promise<void> {
    for (const name of ['trial', 'trying', 'hung']) await this.disk.remove(join(this.folder, name));
    await this.disk.syncFolder(this.folder);
  }

  private async text(name: string): Promise<string | undefined> {
    return (await this.disk.read(join(this.folder, name)))?.toString('utf8').trim();
  }

  private json<T>(name: string): Promise<T | undefined> {
    return readJson(this.disk, this.folder, name);
  }
}

/** A file that was cut short counts as none. */
export async function readJson<T>(disk: Disk, folder: string, name: string): Promise<T | undefined> {
  try {
    return JSON.parse((await disk.read(join(folder, name)))?.toString('utf8') ?? 'null') ?? undefined;
  } catch {
    return undefined;
  }
}

/** The launcher ends a trial this many seconds after its own time, in case it does not do so itself. */
const PATIENCE = 30;

/** A slot's folder is its version and eight digits of its content. */
export function slotName(version: string, digest: string): string {
  return `${version}-${digest.slice(0, 8)}`;
}

export function versionOf(slot: string, baseVersion: string): string {
  return slot === BASE ? baseVersion : slot.replace(/-[0-9a-f]{8}$/, '');
}
