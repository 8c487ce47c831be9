import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Enables a unit as `systemctl enable` does: links for its `WantedBy=` and `Alias=`.
 * @throws Error when there is no such unit */
export function enableUnit(root: string, unit: string): void {
  const path = unitPath(root, unit);
  if (!path) throw new Error(`the root has no unit ${unit}`);
  const content = readFileSync(join(root, path), 'utf8');
  for (const target of wordsOf(content, 'WantedBy')) link(root, `${target}.wants/${unit}`, `/${path}`);
  for (const alias of wordsOf(content, 'Alias')) link(root, alias, `/${path}`);
}

/** Has a unit started when a device shows up, and by nobody when it never does.
 * @param device such as `sys-subsystem-net-devices-wlan0.device`
 * @throws Error when there is no such unit */
export function enableForDevice(root: string, unit: string, device: string): void {
  const path = unitPath(root, unit);
  if (!path) throw new Error(`the root has no unit ${unit}`);
  link(root, `${device}.wants/${unit}`, `/${path}`);
}

/** Keeps a unit from ever being started. */
export function maskUnit(root: string, unit: string): void {
  link(root, unit, '/dev/null');
}

export function hasUnit(root: string, unit: string): boolean {
  return unitPath(root, unit) !== undefined;
}

function unitPath(root: string, unit: string): string | undefined {
  const folders = ['etc/systemd/system', 'usr/lib/systemd/system'];
  // `name@instance.service` is made of `name@.service`.
  const file = unit.replace(/@[^.]+/, '@');
  return folders.map((folder) => join(folder, file)).find((path) => existsSync(join(root, path)));
}

function wordsOf(content: string, key: string): string[] {
  const lines = content.matchAll(new RegExp(`^${key}=(.*)$`, 'gm'));
  return [...lines].flatMap((match) => (match[1] ?? '').split(/\s+/)).filter(Boolean);
}

function link(root: string, name: string, target: string): void {
  const path = join(root, 'etc/systemd/system', name);
  mkdirSync(dirname(path), { recursive: true });
  rmSync(path, { force: true });
  symlinkSync(target, path);
}
