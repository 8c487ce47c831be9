import { fstatSync, readFileSync } from 'node:fs';

/** What the kernel calls this boot; empty where it has no name. */
export function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return '';
  }
}

/** Ms since the machine started, by a clock that nobody sets. */
export function uptime(): number {
  return Number(process.hrtime.bigint() / 1_000_000n);
}

/** Whether the journal reads what is written to this descriptor.
 * @param stream `JOURNAL_STREAM`, the device and inode of the socket that systemd opened; a program behind a pipe has it, too
 * @source systemd.exec(5) */
export function journalReads(descriptor: number, stream: string | undefined): boolean {
  if (!stream) return false;
  try {
    const { dev, ino } = fstatSync(descriptor);
    return stream === `${dev}:${ino}`;
  } catch {
    return false;
  }
}
