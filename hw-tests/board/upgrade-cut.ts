import type { SlotState } from '../../runtime/upgrade/slots.ts';
import { until } from '../program.ts';
import type { Bundles } from './bundles.ts';
import type { Machine } from './machine.ts';

/** What an upgrade can be at when the power goes, and how long after that began it may go, ms. */
const moments = {
  unpacking: 3000,
  armed: 4000,
  starting: 6000,
  'on trial': 8000,
  kept: 1000,
} as const;
export type Moment = keyof typeof moments;
export const allMoments = Object.keys(moments) as Moment[];

/** What it shows of itself: which version runs, and from where. */
export type Status = SlotState & { readonly version: string };

const SLOTS = '/var/lib/kubeedge/slots';
const FILE = '/var/tmp/edgecore.tar.gz';
const BASE_PROGRAM = '/usr/lib/edgecore/edgecore.cjs';

/** One `edgecore upgrade` in the machine, watched from inside, until the power goes. */
export class UpgradeCut {
  readonly version: string;
  /** Where the upgrade was last seen; it may have been further by the time the power went. */
  seen: Moment | 'not begun' = 'not begun';
  private readonly machine: Machine;
  private readonly moment: Moment;
  /** What the command has told its operator. */
  private readonly told: string[] = [];
  private before: Status | undefined;

  constructor(machine: Machine, version: string, moment: Moment) {
    this.machine = machine;
    this.version = version;
    this.moment = moment;
  }

  /** Brings bundle and key there, for good. */
  async prepare(bundles: Bundles): Promise<void> {
    const { machine } = this;
    const keys = '/etc/kubeedge/upgrade-keys';
    await machine.shell(`mkdir -p ${keys}; cat >${keys}/vendor.pem`, Buffer.from(bundles.publicKey));
    await machine.shell(`cat >${FILE}; sync`, await bundles.make(this.version));
    this.before = await statusOf(machine);
  }

  /** Upgrades until it is at the moment that is meant, and a while into it.
   * @param random of [0, 1)
   * @param limit ms
   * @throws Error with what the command said, when it ends before */
  async reach(random: () => number, limit: number): Promise<void> {
    const more = random() * moments[this.moment];
    let reachedAt: number | undefined;
    let ended: string | undefined;
    this.machine.follow(watching(this.version), (line) => {
      const [, phase] = /^phase (.*)$/.exec(line) ?? [];
      if (!phase) this.told.push(line);
      else this.seen = phase as Moment;
      if (/^ended [^0]/.test(line)) ended = this.told.join('; ');
      if (this.isAt(this.moment)) reachedAt ??= performance.now();
    });
    await until(
      `${this.version} is ${this.moment}`,
      () => {
        if (ended !== undefined) return true;
        return reachedAt !== undefined && performance.now() - reachedAt >= more;
      },
      limit,
    );
    if (ended !== undefined) throw new Error(`edgecore upgrade: ${ended}`);
  }

  /** The machine has started again: one whole version is in use, and what the command had promised is so.
   * @returns what it came to
   * @throws Error naming what is wrong */
  async check(limit: number): Promise<Status> {
    const { machine, version } = this;
    const after = await until(
      'the trial has ended, and what is in use runs',
      async () => {
        const { trial, current } = await statusOf(machine);
        if (trial !== undefined || (await programOf(machine)) !== programIn(current)) return undefined;
        // The first answer names the version of who was asked: the one before, when the trial ended meanwhile.
        return statusOf(machine);
      },
      limit,
    );
    const may = [this.before?.version, version];
    if (!may.includes(after.version)) throw new Error(`${after.version} runs, not one of ${may.join(', ')}`);
    for (const slot of (await machine.shell(`cd ${SLOTS} 2>/dev/null && ls -d [0-9]*/ || true`)).split('\n'))
      if (slot) await checkWhole(machine, slot.replace('/', ''));
    const { outcome } = after;
    if (this.hasTold('is installed beside') && outcome?.version !== version)
      throw new Error(`${version} was to be tried, and nothing came of it: ${JSON.stringify(after)}`);
    if (this.hasTold(`${version} is kept`) && after.version !== version)
      throw new Error(`${version} was kept, and ${after.version} runs`);
    return after;
  }

  private hasTold(text: string): boolean {
    return this.told.some((line) => line.includes(text));
  }

  private isAt(moment: Moment): boolean {
    return this.seen !== 'not begun' && allMoments.indexOf(this.seen) >= allMoments.indexOf(moment);
  }
}

/** @returns a command that upgrades, tells what that says, and `phase MOMENT` whenever that changes */
function watching(version: string): string {
  // Files alone are looked at, where that is enough: a process takes its time in the emulator.
  return `slots=${SLOTS} said=
    (edgecore upgrade ${FILE} 2>&1; echo "ended $?") &
    while :; do
      now= kept=
      [ -r $slots/current/version ] && read -r kept <$slots/current/version
      if [ "$kept" = ${version} ]; then now=kept
      elif [ -L $slots/trying ]; then
        now=starting
        [ "$said" = 'on trial' ] || systemctl -q is-active edgecore && now='on trial'
      elif [ -L $slots/trial ]; then now=armed
      elif [ -d $slots/.incoming ]; then now=unpacking
      fi
      [ "$now" ] && [ "$now" != "$said" ] && echo "phase $now" && said=$now
      sleep 0.1
    done`;
}

async function statusOf(machine: Machine): Promise<Status> {
  return JSON.parse(await machine.shell('edgecore upgrade --status --output json')) as Status;
}

function programIn(slot: string): string {
  return slot === 'base' ? BASE_PROGRAM : `${SLOTS}/${slot}/edgecore.cjs`;
}

/** @returns the path of what runs as the service, once that is up; empty before */
async function programOf(machine: Machine): Promise<string> {
  const words = await machine.shell(
    "systemctl -q is-active edgecore && tr '\\0' '\\n' <\"/proc/$(systemctl show -P MainPID edgecore)/cmdline\" || true",
  );
  return words.split('\n').find((word) => word.endsWith('/edgecore.cjs')) ?? '';
}

/** @throws Error when a file of the slot is not what its manifest says */
async function checkWhole(machine: Machine, slot: string): Promise<void> {
  const manifest = JSON.parse(await machine.shell(`cat ${SLOTS}/${slot}/manifest.json`)) as {
    files: Readonly<Record<string, { sha256: string }>>;
  };
  const sums = Object.entries(manifest.files).map(([path, { sha256 }]) => `${sha256}  ${path}\n`);
  await machine.shell(`cd ${SLOTS}/${slot} && sha256sum --quiet -c -`, Buffer.from(sums.join('')));
}
