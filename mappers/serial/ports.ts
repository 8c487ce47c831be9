import { readdir, readFile, realpath } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** How a port is named: by a path, or by what the adapter says of itself. */
export type PortName =
  | { readonly kind: 'path'; readonly path: string }
  | {
      readonly kind: 'usb';
      /** Four hexadecimal digits in lower case. */
      readonly vendorId: string | undefined;
      readonly productId: string | undefined;
      readonly serialNumber: string | undefined;
      /** Of an adapter with several ports. */
      readonly interface: number | undefined;
    };

/** A USB adapter that is plugged in. */
export type Adapter = {
  /** `/dev/ttyUSB0` */
  readonly path: string;
  readonly vendorId: string;
  readonly productId: string;
  /** Absent with many cheap adapters. */
  readonly serialNumber: string | undefined;
  readonly interface: number;
  /** Its name by the socket that it is plugged into, when udev has made one. */
  readonly byPath: string | undefined;
};

/** Where Linux shows its devices. */
export type Roots = { readonly dev: string; readonly sys: string };

const SYSTEM: Roots = { dev: '/dev', sys: '/sys' };

/** The name of a port for people, and as the key of its bus. */
export function showPort(port: PortName): string {
  if (port.kind === 'path') return port.path;
  const id = `${port.vendorId ?? '*'}:${port.productId ?? '*'}`;
  const serial = port.serialNumber === undefined ? '' : ` ${port.serialNumber}`;
  return `USB adapter ${id}${serial}${port.interface === undefined ? '' : ` interface ${port.interface}`}`;
}

/** Finds the device of a port as it is plugged in now.
 * @returns the path to open
 * @throws Error when there is none, or when the name could mean another adapter tomorrow */
export async function findPort(port: PortName, roots: Roots = SYSTEM): Promise<string> {
  if (port.kind === 'usb') return findUsb(port, await listAdapters(roots));
  if (!port.path.startsWith(`${roots.dev}/serial/by-id/`)) return port.path;
  const device = await realpath(port.path).catch(() => undefined);
  // Opening it says that it is not there.
  if (device === undefined) return port.path;
  const adapters = await listAdapters(roots);
  const adapter = adapters.find(({ path }) => path === device);
  if (adapter) refuseTwins(adapter, adapters);
  return port.path;
}

/** Every serial port on USB. @source Linux Documentation/ABI: /sys/class/tty, /sys/bus/usb/devices */
export async function listAdapters(roots: Roots = SYSTEM): Promise<Adapter[]> {
  const names = await readdir(join(roots.sys, 'class/tty')).catch(() => []);
  const byPath = await linksOf(join(roots.dev, 'serial/by-path'));
  const adapters: Adapter[] = [];
  for (const name of names.sort()) {
    const folder = await realpath(join(roots.sys, 'class/tty', name, 'device')).catch(() => undefined);
    const path = join(roots.dev, name);
    const adapter = folder && (await adapterOf(folder, roots.sys));
    if (adapter) adapters.push({ ...adapter, path, byPath: byPath.get(path) });
  }
  return adapters;
}

/** What stands between a device's folder and the root: the interface has bInterfaceNumber, the adapter idVendor. */
async function adapterOf(folder: string, top: string): Promise<Omit<Adapter, 'path' | 'byPath'> | undefined> {
  let number: string | undefined;
  for (let at = folder; at.length > top.length && at !== '/'; at = dirname(at)) {
    number ??= await attribute(at, 'bInterfaceNumber');
    const vendorId = await attribute(at, 'idVendor');
    if (vendorId === undefined) continue;
    return {
      vendorId,
      productId: (await attribute(at, 'idProduct')) ?? '',
      serialNumber: await attribute(at, 'serial'),
      interface: Number.parseInt(number ?? '0', 16),
    };
  }
  return undefined;
}

function findUsb(port: Extract<PortName, { kind: 'usb' }>, adapters: readonly Adapter[]): string {
  const matching = adapters.filter(
    (adapter) =>
      (port.vendorId ?? adapter.vendorId) === adapter.vendorId &&
      (port.productId ?? adapter.productId) === adapter.productId &&
      (port.serialNumber ?? adapter.serialNumber) === adapter.serialNumber &&
      (port.interface ?? adapter.interface) === adapter.interface,
  );
  const [only] = matching;
  if (!only) {
    const there = adapters.map(describe).join(', ') || 'none';
    throw new Error(`is not plugged in (serial adapters that are: ${there})`);
  }
  if (matching.length > 1)
    throw new Error(`fits ${matching.map(describe).join(' and ')}: ${remedy(matching)}`);
  return only.path;
}

/** A name by id is made of vendor, product and serial number: two adapters that have these in common share it, and one
 * without a serial number gives it to the next of its kind that is plugged in. */
function refuseTwins(adapter: Adapter, adapters: readonly Adapter[]): void {
  const alike = adapters.filter(
    (other) =>
      other.vendorId === adapter.vendorId &&
      other.productId === adapter.productId &&
      other.serialNumber === adapter.serialNumber &&
      other.interface === adapter.interface,
  );
  if (alike.length > 1) throw new Error(`could be ${alike.map(describe).join(' or ')}: ${remedy(alike)}`);
  if (adapter.serialNumber === undefined)
    throw new Error(`is ${describe(adapter)}, and would be any other of its kind: ${remedy(alike)}`);
}

function describe({ path, vendorId, productId, serialNumber }: Adapter): string {
  return `${path} (${vendorId}:${productId}, ${serialNumber === undefined ? 'without a serial number' : `serial number ${serialNumber}`})`;
}

function remedy(adapters: readonly Adapter[]): string {
  const names = adapters.map(
    ({ byPath, path }) => byPath ?? `the one of /dev/serial/by-path that leads to ${path}`,
  );
  return `name it by its socket, ${names.join(' or ')}`;
}

/** Where the links of a folder lead, each with its link. */
async function linksOf(folder: string): Promise<Map<string, string>> {
  const links = new Map<string, string>();
  for (const name of (await readdir(folder).catch(() => [])).sort()) {
    const link = join(folder, name);
    const target = await realpath(link).catch(() => undefined);
    // udev makes a second link with usbv2 in it; the first is as good.
    if (target && !links.has(target)) links.set(target, link);
  }
  return links;
}

async function attribute(folder: string, name: string): Promise<string | undefined> {
  const text = await readFile(join(folder, name), 'utf8').catch(() => '');
  return text.trim() || undefined;
}
