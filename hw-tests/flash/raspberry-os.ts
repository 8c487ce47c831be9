import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../../build/image/run.ts';

/** Where its boot partition begins, as mtools names it. */
export const BOOT = '@@1M';

/** An image with a FAT partition that begins as that of Raspberry Pi OS does.
 * @param mib of the partition
 * @returns its path */
export function raspberryOs(dir: string, mib: number): string {
  const card = join(dir, 'raspios.img');
  writeFileSync(card, '');
  truncateSync(card, (mib + 2) * 1024 * 1024);
  const cmdline = join(dir, 'cmdline.txt');
  writeFileSync(cmdline, 'console=tty1\n');
  run('sfdisk', ['--quiet', card], { input: 'label: dos\nstart=2048, type=c\n' });
  run('mformat', ['-i', `${card}${BOOT}`, '-F', '-T', `${mib * 2048}`, '::']);
  run('mcopy', ['-i', `${card}${BOOT}`, cmdline, '::']);
  return card;
}
