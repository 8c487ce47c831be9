import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { faultOfKernel } from '../../build/image/kernel.ts';
import { run } from '../../build/image/run.ts';
import { compatibles, stringsOf, treeNodes } from './device-tree.ts';
import type { Expectation } from './expectations.ts';
import { ImageFile, initramfsFiles } from './image-file.ts';
import { Modules } from './modules.ts';

/** A whole image, looked into by way of a folder. */
export function checkImage(path: string, dir: string, expected: Expectation): void {
  const image = new ImageFile(path);
  assert.is(image.faults(2), '');
  assert.is(image.faults(4), '');
  image.copyBoot(join(dir, 'boot'));
  checkBoot(join(dir, 'boot'), expected);
  for (const folder of ['/usr/lib/modules', '/usr/lib/firmware', '/etc/systemd'])
    image.copyFolder(2, folder, join(dir, 'root'));
  checkRoot(join(dir, 'root'), join(dir, 'boot'), expected);
  image.copyFolder(4, '/etc', join(dir, 'state'));
  checkState(join(dir, 'state/etc'));
}

/** The boot partition: firmware, what it reads, and in the folder of the slot what it loads. */
function checkBoot(boot: string, { trees, firmware, early }: Expectation): void {
  for (const name of firmware) assert.ok(statSync(join(boot, name)).size > 0, name);
  const settings = (name: string) => new Set(readFileSync(join(boot, name), 'utf8').split('\n'));
  const common = ['arm_64bit=1', 'kernel=vmlinuz', 'initramfs initrd followkernel', 'upstream_kernel=1'];
  for (const line of ['os_prefix=a/', ...common]) assert.ok(settings('config.txt').has(line), line);
  assert.is(faultOfKernel(readFileSync(join(boot, 'a/vmlinuz'))), undefined);
  assert.match(
    readFileSync(join(boot, 'a/cmdline.txt'), 'utf8'),
    /^[^\n]*edgecore\.state=\S+ edgecore\.slot=a\n$/,
  );
  const devices = new Set<string>();
  for (const [name, model] of Object.entries(trees)) {
    const nodes = treeNodes(readFileSync(join(boot, 'a', name)));
    assert.is(stringsOf(nodes[0]?.properties.get('compatible'))[0], model, name);
    for (const device of compatibles(nodes)) devices.add(device);
  }
  const files = initramfsFiles(join(boot, 'a/initrd'));
  for (const name of ['init', 'bin/busybox', 'bin/e2fsck'])
    assert.ok((files.get(name)?.length ?? 0) > 0, name);
  const modules = Modules.ofInitramfs(files);
  assert.equal(modules.missing(), []);
  for (const name of ['ext4', 'sd_mod', 'usb-storage', 'uas']) assert.ok(modules.has(name), name);
  checkDrivers(early, devices, modules);
}

function checkDrivers(
  drivers: Readonly<Record<string, string>>,
  devices: ReadonlySet<string>,
  modules: Modules,
): void {
  for (const [device, driver] of Object.entries(drivers)) {
    assert.ok(devices.has(device), `${device} is in no device tree`);
    if (modules.isBuiltin(driver)) continue;
    assert.ok(modules.has(driver), `${driver} is missing, for ${device}`);
    assert.ok(modules.drives(device), `${driver} does not know ${device}`);
  }
}

/** The root: drivers and firmware of the network, and what starts Wi-Fi. */
function checkRoot(root: string, boot: string, { late, modules: names, wifi, trees }: Expectation): void {
  const modules = Modules.ofRoot(join(root, 'modules'));
  assert.equal(modules.missing(), []);
  const [tree = ''] = Object.keys(trees);
  const devices = compatibles(treeNodes(readFileSync(join(boot, 'a', tree))));
  checkDrivers(late, devices, modules);
  for (const name of [...names, 'brcmfmac', 'brcmfmac-wcc', 'bcm2835_wdt', 'zram'])
    assert.ok(modules.has(name), name);
  // `existsSync` follows links, of which there are many.
  for (const name of wifi) assert.ok(existsSync(join(root, 'firmware/brcm', name)), name);
  for (const name of ['regulatory.db', 'regulatory.db.p7s'])
    assert.ok(existsSync(join(root, 'firmware', name)), name);
  const wants = 'systemd/system/sys-subsystem-net-devices-wlan0.device.wants';
  assert.ok(
    run('ls', [join(root, wants)])
      .split('\n')
      .includes('wpa_supplicant@wlan0.service'),
  );
}

/** The state: who the machine is and what it joins; nobody else reads its secrets. */
function checkState(etc: string): void {
  const secret = (name: string): string => {
    const { mode, uid } = statSync(join(etc, name));
    assert.is(mode & 0o777, 0o600, name);
    assert.is(uid, 0, name);
    return readFileSync(join(etc, name), 'utf8');
  };
  assert.match(secret('kubeedge/config/edgecore.yaml'), /token: hash\.jwt/);
  assert.match(secret('wpa_supplicant/wpa_supplicant-wlan0.conf'), /^ {2}psk=[0-9a-f]{64}$/m);
  assert.match(readFileSync(join(etc, 'network/10-static.network'), 'utf8'), /^Address=10\.0\.0\.7\/24$/m);
  assert.is(readFileSync(join(etc, 'hostname'), 'utf8'), 'edge-7\n');
}

/** With the overlay the first Pi 5's device tree says what that of the new ones does, but for names of pins. */
export function checkOverlay(boot: string, dir: string): void {
  const out = join(dir, 'merged.dtb');
  const overlay = join(boot, 'overlays/bcm2712d0.dtbo');
  run('fdtoverlay', ['-i', join(boot, 'a/bcm2712-rpi-5-b.dtb'), '-o', out, overlay]);
  const plain = (path: string) =>
    treeNodes(readFileSync(path)).map(({ path: at, properties }) => {
      const named = [...properties].filter(([name]) => name !== 'gpio-line-names');
      return [at, Object.fromEntries(named.map(([name, bytes]) => [name, bytes.toString('hex')]))] as const;
    });
  assert.equal(
    Object.fromEntries(plain(out)),
    Object.fromEntries(plain(join(boot, 'a/bcm2712-d-rpi-5-b.dtb'))),
  );
}
