import { join } from 'node:path';
import { EdgeError } from '../core/errors.ts';
import { type Disk, systemDisk, writeDurably } from './disk.ts';
import type { Loader, SystemSlot } from './loader.ts';
import { type Outcome, readJson, type SlotAdapter, type SlotState, type TrialRequest } from './slots.ts';

export type SystemParts = {
  /** Of {@link FileSlots}: there is one request and one outcome, of whatever was upgraded last. */
  readonly folder: string;
  /** Of the boot partition. */
  readonly boot: string;
  readonly loader: Loader;
  /** The slot that runs. */
  readonly own: SystemSlot;
  /** UUID of the state partition, which both have. */
  readonly state: string;
  /** Tells one start of the machine from another. */
  readonly bootId: string;
  readonly disk?: Disk;
};

/** Two whole systems, of which the bootloader starts one. Beside what the bootloader knows:
 *
 * | name             | what                                                                              |
 * | ---------------- | --------------------------------------------------------------------------------- |
 * | boot `a/.version` | version of slot A; it is there when the slot is whole                            |
 * | boot `a/arguments` | the kernel's, but for what tells this machine and slot from others               |
 * | `system`         | the slot that is tried, and the boot id of the start that armed it                |
 * | `system-reached` | edgecore has run in the slot that is tried                                        |
 * | `patience`       | seconds after which the system that is tried restarts when it is not confirmed    |
 * | `hung`           | it had to                                                                         |
 */
export class SystemSlots implements SlotAdapter {
  readonly parts: SystemParts;
  private readonly disk: Disk;
  private readonly folder: string;

  constructor(parts: SystemParts) {
    this.parts = parts;
    this.disk = parts.disk ?? systemDisk;
    this.folder = parts.folder;
  }

  /** The slot that an upgrade is written to: the one that does not run. */
  get other(): SystemSlot {
    return otherThan(this.parts.own);
  }

  async state(): Promise<SlotState> {
    const { loader, own, bootId } = this.parts;
    const current = await loader.current();
    const tried = await this.tried();
    const isRunning = tried?.slot === own;
    // Whoever is neither running nor armed by this start has ended: `recover` notes that.
    const isTrial = tried && tried.slot !== current && (isRunning || tried.bootId === bootId);
    const previous = otherThan(current);
    return {
      current,
      previous: tried?.slot !== previous && (await this.versionOf(previous)) ? previous : undefined,
      trial: isTrial ? { slot: tried.slot, phase: isRunning ? 'running' : 'armed' } : undefined,
      request: await readJson<TrialRequest>(this.disk, this.folder, 'request.json'),
      outcome: await this.outcome(),
    };
  }

  /** Has nothing start the other slot, so that it can be written. */
  async clear(): Promise<void> {
    await this.disk.makeFolder(join(this.parts.boot, this.other));
    await this.leave(this.other);
  }

  /** The other slot is whole. */
  async complete(version: string): Promise<void> {
    await writeDurably(this.disk, join(this.parts.boot, this.other), WHOLE, `${version}\n`);
  }

  /** @throws EdgeError UPGRADE_NOTHING for a slot that is not whole */
  async setTrial(slot: string, request: TrialRequest): Promise<void> {
    const { disk, folder, parts } = this;
    if (slot !== this.other || (await this.versionOf(this.other)) === undefined)
      throw new EdgeError('UPGRADE_NOTHING', { detail: `slot ${slot} has no whole system` });
    const words = [
      await this.text(parts.boot, `${slot}/arguments`),
      `edgecore.state=${parts.state}`,
      `edgecore.slot=${slot}`,
    ];
    await disk.makeFolder(folder);
    for (const name of ['hung', REACHED]) await disk.remove(join(folder, name));
    await writeDurably(disk, folder, 'request.json', `${JSON.stringify(request)}\n`);
    await writeDurably(disk, folder, 'patience', `${request.within + PATIENCE}\n`);
    await writeDurably(disk, folder, TRIED, `${slot} ${parts.bootId}\n`);
    await parts.loader.arm(slot, words.join(' '));
  }

  /** edgecore runs in the slot that is tried. */
  async reached(): Promise<void> {
    await writeDurably(this.disk, this.folder, REACHED, '');
  }

  async confirm(now: number): Promise<Outcome> {
    const { trial, request } = await this.state();
    if (trial?.phase !== 'running')
      throw new EdgeError('UPGRADE_NOTHING', { detail: 'no new system is on trial' });
    await this.parts.loader.keep(this.parts.own);
    return this.end({ slot: trial.slot, result: 'confirmed', reason: '' }, request, now);
  }

  /** The machine must be restarted then, unless the trial is still to begin. */
  async rollback(reason: string, now: number): Promise<Outcome> {
    const { trial, current, previous, request } = await this.state();
    if (trial) {
      await this.leave(trial.slot as SystemSlot);
      return this.end({ slot: trial.slot, result: 'rolled back', reason }, request, now);
    }
    if (previous === undefined)
      throw new EdgeError('UPGRADE_NOTHING', { detail: 'there is no earlier system to go back to' });
    const from = await this.versionOf(previous as SystemSlot);
    const version = await this.versionOf(current as SystemSlot);
    await this.parts.loader.keep(previous as SystemSlot);
    return this.note({ slot: current, version, from, result: 'rolled back', reason }, undefined, now);
  }

  async recover(now: number): Promise<Outcome | undefined> {
    const tried = await this.tried();
    const { trial, current, request } = await this.state();
    if (!tried || trial) return undefined;
    const outcome = await this.outcome();
    if (outcome?.slot === tried.slot && outcome.asked === request?.at) {
      await this.forgetTrial();
      return undefined;
    }
    if (tried.slot === current) {
      await this.parts.loader.keep(tried.slot); // what is left of the trial goes
      return this.end({ slot: tried.slot, result: 'confirmed', reason: '' }, request, now);
    }
    const reason = await this.whyEnded();
    await this.leave(tried.slot);
    return this.end({ slot: tried.slot, result: 'rolled back', reason }, request, now);
  }

  private async whyEnded(): Promise<string> {
    const { folder } = this;
    if ((await this.text(folder, 'hung')) !== undefined)
      return `it did not show that it is well within ${await this.text(folder, 'patience')} s, and was restarted`;
    return (await this.text(folder, REACHED)) === undefined
      ? 'its system did not start, or not as far as to edgecore'
      : 'its system ended, or the power went, before it was confirmed';
  }

  /** Nothing starts a slot any more, and nobody takes it for a whole one. */
  private async leave(slot: SystemSlot): Promise<void> {
    const { boot, loader } = this.parts;
    await loader.forget(slot);
    await this.disk.remove(join(boot, slot, WHOLE));
    await this.disk.syncFolder(join(boot, slot));
  }

  private end(
    what: Pick<Outcome, 'slot' | 'result' | 'reason'>,
    request: TrialRequest | undefined,
    now: number,
  ): Promise<Outcome> {
    return this.note({ ...what, version: request?.version, from: request?.from }, request, now);
  }

  private async note(
    what: Pick<Outcome, 'slot' | 'result' | 'reason'> & Record<'version' | 'from', string | undefined>,
    request: TrialRequest | undefined,
    now: number,
  ): Promise<Outcome> {
    const { version = '?', from = '?' } = what;
    const at = new Date(now).toISOString();
    const outcome: Outcome = { ...what, version, from, at, asked: request?.at ?? '' };
    await this.disk.makeFolder(this.folder);
    await writeDurably(this.disk, this.folder, 'outcome.json', `${JSON.stringify(outcome)}\n`);
    await this.forgetTrial();
    return outcome;
  }

  private async forgetTrial(): Promise<void> {
    for (const name of [TRIED, REACHED, 'hung']) await this.disk.remove(join(this.folder, name));
    await this.disk.syncFolder(this.folder);
  }

  private outcome(): Promise<Outcome | undefined> {
    return readJson<Outcome>(this.disk, this.folder, 'outcome.json');
  }

  private async tried(): Promise<{ slot: SystemSlot; bootId: string } | undefined> {
    const [slot, bootId = ''] = (await this.text(this.folder, TRIED))?.split(' ') ?? [];
    return slot === 'a' || slot === 'b' ? { slot, bootId } : undefined;
  }

  private versionOf(slot: SystemSlot): Promise<string | undefined> {
    return this.text(this.parts.boot, `${slot}/${WHOLE}`);
  }

  private async text(folder: string, name: string): Promise<string | undefined> {
    return (await this.disk.read(join(folder, name)))?.toString('utf8').trim();
  }
}

/** No file of a bundle may be called so. */
const WHOLE = '.version';
const TRIED = 'system';
const REACHED = 'system-reached';
/** The system restarts this many seconds after its trial should be over, which begins when edgecore has started. */
const PATIENCE = 120;

function otherThan(slot: string): SystemSlot {
  return slot === 'a' ? 'b' : 'a';
}
