import {
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { findPort, listAdapters, type PortName, showPort } from './ports.ts';

/** A machine's /dev and /sys, in a folder. */
class Machine {
  private readonly dir = realpathSync(mkdtempSync(join(tmpdir(), 'edgecore-ports-')));
  readonly roots = { dev: join(this.dir, 'dev'), sys: join(this.dir, 'sys') };

  constructor() {
    for (const folder of ['dev/serial/by-id', 'dev/serial/by-path', 'sys/class/tty'])
      mkdirSync(join(this.dir, folder), { recursive: true });
  }

  /** Plugs an adapter into a socket, as the kernel and udev would show it. */
  plug(options: { tty: string; socket: string; ids: string; serial?: string; byId: string }): void {
    const { tty, socket, ids, serial, byId } = options;
    const usb = join(this.roots.sys, 'devices/usb1', socket);
    const port = join(usb, `${socket}:1.0`, tty);
    mkdirSync(port, { recursive: true });
    const [vendor = '', product = ''] = ids.split(':');
    writeFileSync(join(usb, 'idVendor'), `${vendor}\n`);
    writeFileSync(join(usb, 'idProduct'), `${product}\n`);
    if (serial) writeFileSync(join(usb, 'serial'), `${serial}\n`);
    writeFileSync(join(dirname(port), 'bInterfaceNumber'), '00\n');
    mkdirSync(join(this.roots.sys, 'class/tty', tty));
    symlinkSync(port, join(this.roots.sys, 'class/tty', tty, 'device'));
    writeFileSync(join(this.roots.dev, tty), '');
    for (const link of [this.byId(byId), this.byPath(socket)]) {
      rmSync(link, { force: true }); // the later adapter takes the name, as with udev
      symlinkSync(join(this.roots.dev, tty), link);
    }
  }

  unplug(tty: string, byId: string, socket: string): void {
    rmSync(join(this.roots.sys, 'class/tty', tty), { recursive: true });
    unlinkSync(join(this.roots.dev, tty));
    unlinkSync(this.byId(byId));
    unlinkSync(this.byPath(socket));
  }

  byId(name: string): string {
    return join(this.roots.dev, 'serial/by-id', name);
  }

  byPath(socket: string): string {
    return join(this.roots.dev, 'serial/by-path', socket);
  }

  find(port: PortName): Promise<string> {
    return findPort(port, this.roots).catch(
      (error) => `refused: ${(error as Error).message.replaceAll(this.dir, '')}`,
    );
  }

  findPath(path: string): Promise<string> {
    return this.find({ kind: 'path', path });
  }

  findUsb(vendorId?: string, productId?: string, serialNumber?: string): Promise<string> {
    return this.find({ kind: 'usb', vendorId, productId, serialNumber, interface: undefined });
  }

  remove(): void {
    rmSync(this.dir, { recursive: true });
  }
}

const test = suite<{ machine: Machine }>('names of ports');
test.before.each((context) => {
  context.machine = new Machine();
});
test.after.each(({ machine }) => machine.remove());

const FTDI = { ids: '0403:6001', byId: 'usb-FTDI_A5' };
const CH340 = { ids: '1a86:7523', byId: 'usb-1a86_USB_Serial-if00-port0' };

test('an adapter is found by its id and by what it says of itself, wherever it is plugged in', async ({
  machine,
}) => {
  machine.plug({ ...FTDI, tty: 'ttyUSB0', socket: '1-1', serial: 'A5' });
  machine.plug({ ...CH340, tty: 'ttyUSB1', socket: '1-2' });
  const { dev } = machine.roots;
  assert.is(await machine.findPath(machine.byId(FTDI.byId)), machine.byId(FTDI.byId));
  assert.is(await machine.findUsb('0403', '6001', 'A5'), join(dev, 'ttyUSB0'));
  assert.is(await machine.findUsb(undefined, undefined, 'A5'), join(dev, 'ttyUSB0'));
  assert.is(await machine.findUsb('1a86', '7523'), join(dev, 'ttyUSB1'));
  machine.unplug('ttyUSB0', FTDI.byId, '1-1');
  assert.is(
    await machine.findUsb('0403', '6001', 'A5'),
    'refused: is not plugged in (serial adapters that are: /dev/ttyUSB1 (1a86:7523, without a serial number))',
  );
  machine.plug({ ...FTDI, tty: 'ttyUSB7', socket: '1-3', serial: 'A5' });
  assert.is(await machine.findUsb('0403', '6001', 'A5'), join(dev, 'ttyUSB7'));
  assert.equal(
    (await listAdapters(machine.roots)).map(({ path }) => path),
    [join(dev, 'ttyUSB1'), join(dev, 'ttyUSB7')],
  );
});

test('two adapters that fit are both named, with the names by their sockets', async ({ machine }) => {
  machine.plug({ ...CH340, tty: 'ttyUSB0', socket: '1-1' });
  machine.plug({ ...CH340, tty: 'ttyUSB1', socket: '1-2' });
  const both = '/dev/ttyUSB0 (1a86:7523, without a serial number)';
  const other = '/dev/ttyUSB1 (1a86:7523, without a serial number)';
  const how = 'name it by its socket, /dev/serial/by-path/1-1 or /dev/serial/by-path/1-2';
  assert.is(await machine.findUsb('1a86', '7523'), `refused: fits ${both} and ${other}: ${how}`);
  assert.is(
    await machine.findPath(machine.byId(CH340.byId)),
    `refused: could be ${both} or ${other}: ${how}`,
  );
  assert.is(await machine.findPath(machine.byPath('1-2')), machine.byPath('1-2'));
});

test('two adapters with one serial number are refused by id', async ({ machine }) => {
  const cp2102 = { ids: '10c4:ea60', byId: 'usb-CP2102_0001', serial: '0001' };
  machine.plug({ ...cp2102, tty: 'ttyUSB0', socket: '1-1' });
  assert.is(await machine.findPath(machine.byId(cp2102.byId)), machine.byId(cp2102.byId));
  machine.plug({ ...cp2102, tty: 'ttyUSB1', socket: '1-2' });
  assert.match(
    await machine.findPath(machine.byId(cp2102.byId)),
    /^refused: could be .*ttyUSB0.*0001\) or .*ttyUSB1/,
  );
});

test('an adapter without a serial number is refused by id, because the next of its kind would take the name', async ({
  machine,
}) => {
  machine.plug({ ...CH340, tty: 'ttyUSB0', socket: '1-1' });
  assert.is(
    await machine.findPath(machine.byId(CH340.byId)),
    'refused: is /dev/ttyUSB0 (1a86:7523, without a serial number), and would be any other of its kind: ' +
      'name it by its socket, /dev/serial/by-path/1-1',
  );
});

test('a port that is no USB adapter, or not there, is left to whoever opens it', async ({ machine }) => {
  assert.is(await machine.findPath('/dev/ttyAMA0'), '/dev/ttyAMA0');
  assert.is(await machine.findPath(machine.byId('usb-gone')), machine.byId('usb-gone'));
});

test('a port is named for people', () => {
  assert.is(showPort({ kind: 'path', path: '/dev/ttyS0' }), '/dev/ttyS0');
  const usb = { kind: 'usb', vendorId: '0403', productId: '6001', serialNumber: 'A5', interface: 1 } as const;
  assert.is(showPort(usb), 'USB adapter 0403:6001 A5 interface 1');
});

test.run();
