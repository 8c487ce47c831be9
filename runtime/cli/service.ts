import { spawnSync } from 'node:child_process';
import { EdgeError } from '../core/errors.ts';

/** Whether systemd runs here and knows edgecore. */
export function hasUnit(): boolean {
  return spawnSync('systemctl', ['cat', 'edgecore.service'], { stdio: 'ignore' }).status === 0;
}

/** @throws EdgeError SERVICE_REFUSED */
export function systemctl(...args: string[]): void {
  const { status, stderr, error } = spawnSync('systemctl', args, { encoding: 'utf8' });
  if (status === 0) return;
  const why = error?.message ?? stderr.trim();
  throw new EdgeError('SERVICE_REFUSED', { detail: `systemctl ${args.join(' ')}: ${why}` });
}

/** Has systemd, if it watches over edgecore, start it anew after the shortest pause: it makes the pause longer each time,
 * and this time is no failure. */
export function forgetRestarts(): void {
  spawnSync('systemctl', ['reset-failed', 'edgecore.service'], { stdio: 'ignore' });
}
