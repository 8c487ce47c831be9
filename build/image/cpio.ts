import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';

/** An archive of a folder as the kernel unpacks it at boot; everything belongs to root, and times are 0.
 * @source Linux Documentation/driver-api/early-userspace/buffer-format.rst ("newc") */
export function cpioOf(folder: string): Buffer {
  const parts: Buffer[] = [];
  let inode = 1;
  const add = (name: string, mode: number, content: Buffer): void => {
    const numbers = [inode++, mode, 0, 0, 1, 0, content.length, 0, 0, 0, 0, name.length + 1, 0];
    const header = `070701${numbers.map((n) => n.toString(16).padStart(8, '0')).join('')}`;
    parts.push(padded(Buffer.from(`${header}${name}\0`)), padded(content));
  };
  for (const name of namesIn(folder)) {
    const path = join(folder, name);
    const { mode } = lstatSync(path);
    const kind = mode & 0o170000;
    if (kind === 0o120000) add(name, mode, Buffer.from(readlinkSync(path)));
    else add(name, mode, kind === 0o040000 ? Buffer.alloc(0) : readFileSync(path));
  }
  add('TRAILER!!!', 0, Buffer.alloc(0));
  return Buffer.concat(parts);
}

function namesIn(folder: string, prefix = ''): string[] {
  const entries = readdirSync(join(folder, prefix), { withFileTypes: true });
  return entries
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const name = prefix ? `${prefix}/${entry.name}` : entry.name;
      return entry.isDirectory() ? [name, ...namesIn(folder, name)] : [name];
    });
}

function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc(-bytes.length & 3)]);
}
