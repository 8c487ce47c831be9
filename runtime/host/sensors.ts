import { readdirSync, readFileSync, statfsSync } from 'node:fs';
import { join } from 'node:path';

/** One thermal zone; what the kernel calls it. */
export type Temperature = { readonly zone: string; readonly celsius: number };

/** A disk of the machine. */
export type Disk = {
  readonly device: string;
  /** Bytes written since the machine started, by everybody. */
  readonly written: number;
  /** How much of its life is used, 0 to 1.1, as eMMC tells it in steps of a tenth; undefined where nothing is told. */
  readonly lifeUsed: number | undefined;
  /** Whether its reserve blocks run out, as eMMC tells it. */
  readonly isNearEnd: boolean;
};

/** What is written to a memory card costs its life: RAM disks, loops and mappings onto other disks do not count. */
const NO_DISK = /^(loop|ram|zram|dm-|md|sr|fd|nbd)/;
const SECTOR = 512;
/** Bits of the Raspberry Pi's firmware word. @source Raspberry Pi documentation, vcgencmd get_throttled */
const UNDERVOLTAGE = 1 << 0;
const THROTTLED = 1 << 2;

/** Reads what the kernel tells of the machine. Everything may be missing: then nothing is returned for it.
 * @param root `/`; a test has another */
export class Sensors {
  private readonly root: string;

  constructor(root: string) {
    this.root = root;
  }

  temperatures(): Temperature[] {
    return this.list('sys/class/thermal')
      .filter((name) => name.startsWith('thermal_zone'))
      .flatMap((name) => {
        const thousandths = this.number(`sys/class/thermal/${name}/temp`);
        if (thousandths === undefined) return [];
        return [{ zone: this.text(`sys/class/thermal/${name}/type`) || name, celsius: thousandths / 1000 }];
      });
  }

  /** Whether the supply is too weak right now, and whether that or the heat slows the processor; undefined on a machine that
   * does not measure it. */
  power(): { readonly undervoltage: boolean; readonly throttled: boolean } | undefined {
    const word = this.text('sys/devices/platform/soc/soc:firmware/get_throttled');
    if (/^(0x)?[0-9a-f]+$/i.test(word)) {
      const bits = Number.parseInt(word, 16);
      return { undervoltage: (bits & UNDERVOLTAGE) !== 0, throttled: (bits & THROTTLED) !== 0 };
    }
    for (const name of this.list('sys/class/hwmon')) {
      if (this.text(`sys/class/hwmon/${name}/name`) !== 'rpi_volt') continue;
      const alarm = this.number(`sys/class/hwmon/${name}/in0_lcrit_alarm`);
      if (alarm !== undefined) return { undervoltage: alarm !== 0, throttled: false };
    }
    return undefined;
  }

  disks(): Disk[] {
    return this.list('sys/block')
      .filter((device) => !NO_DISK.test(device))
      .flatMap((device) => {
        const sectors = Number(this.text(`sys/block/${device}/stat`).split(/\s+/)[6]);
        if (!Number.isFinite(sectors)) return [];
        return [{ device, written: sectors * SECTOR, ...this.life(device) }];
      });
  }

  /** Bytes that this process has had written to disks since it started. */
  ownWrites(): number | undefined {
    const text = this.text('proc/self/io');
    const figure = (name: string): number => Number(new RegExp(`^${name}: (\\d+)$`, 'm').exec(text)?.[1]);
    const written = figure('write_bytes') - figure('cancelled_write_bytes');
    return Number.isFinite(written) ? Math.max(0, written) : undefined;
  }

  /** Whether systemd-timesyncd has reached a server; undefined where another daemon, or none, runs. */
  timesyncd(): boolean | undefined {
    const names = this.list('run/systemd/timesync');
    return names.length === 0 ? undefined : names.includes('synchronized');
  }

  /** Room where `path` lies; undefined while it does not exist. */
  room(path: string): { readonly total: number; readonly available: number } | undefined {
    try {
      const { blocks, bavail, bsize } = statfsSync(join(this.root, path));
      return { total: blocks * bsize, available: bavail * bsize };
    } catch {
      return undefined;
    }
  }

  /** @source JEDEC eMMC 5.0: DEVICE_LIFE_TIME_EST_TYP_A and _B, PRE_EOL_INFO; SD cards have neither */
  private life(device: string): Pick<Disk, 'lifeUsed' | 'isNearEnd'> {
    const folder = `sys/block/${device}/device`;
    const tenths = this.text(`${folder}/life_time`)
      .split(/\s+/)
      .map(Number)
      .filter((n) => n > 0);
    const reserve = Number(this.text(`${folder}/pre_eol_info`));
    return { lifeUsed: tenths.length > 0 ? Math.max(...tenths) / 10 : undefined, isNearEnd: reserve >= 2 };
  }

  private list(path: string): string[] {
    try {
      return readdirSync(join(this.root, path)).sort();
    } catch {
      return [];
    }
  }

  private text(path: string): string {
    try {
      return readFileSync(join(this.root, path), 'utf8').trim();
    } catch {
      return '';
    }
  }

  private number(path: string): number | undefined {
    const text = this.text(path);
    return text !== '' && Number.isFinite(Number(text)) ? Number(text) : undefined;
  }
}
