import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { cpioOf } from '../../build/image/cpio.ts';
import { faultOfKernel } from '../../build/image/kernel.ts';
import { run } from '../../build/image/run.ts';
import { requireProgram } from '../real-parts.ts';
import { compatibles, stringsOf, treeNodes } from './device-tree.ts';
import { type Expectation, expectations } from './expectations.ts';
import { ImageFile, initramfsFiles } from './image-file.ts';
import { Modules } from './modules.ts';

const test = suite<{ dir: string }>('images for the Raspberry Pi');
const long = process.env.EDGECORE_LONG === 'true';
const tree = requireProgram('dtc', 'device-tree-compiler') !== undefined;

test.before.each((context) => {
  context.dir = mkdtempSync(join(tmpdir(), 'edgecore-images-'));
});
test.after.each(({ dir }) => rmSync(dir, { recursive: true, force: true }));

test('an initramfs is read as it was packed', ({ dir }) => {
  const folder = join(dir, 'files');
  mkdirSync(join(folder, 'bin'), { recursive: true });
  writeFileSync(join(folder, 'bin/sh'), 'a shell');
  writeFileSync(join(folder, 'init'), '#!/bin/sh\n');
  const path = join(dir, 'initrd');
  writeFileSync(path, gzipSync(cpioOf(folder)));
  const files = initramfsFiles(path);
  assert.equal([...files.keys()], ['bin', 'bin/sh', 'init']);
  assert.is(files.get('bin/sh')?.toString(), 'a shell');
});

test('a driver is known by what it drives, and missed when another one needs it', () => {
  const texts = {
    dep: 'kernel/a.ko: kernel/b.ko kernel/c.ko\nkernel/b.ko:\n',
    alias: 'alias of:N*T*Cbrcm,one alpha\nalias of:N*T*Cbrcm,oneC* alpha\nalias pci:v1* beta\n',
    builtin: 'gamma.license=GPL\0gamma.alias=of:N*T*Cbrcm,two\0',
  };
  const modules = new Modules(texts, ['kernel/a.ko', 'kernel/b.ko']);
  assert.equal(modules.missing(), ['kernel/c.ko']);
  assert.is(modules.drives('brcm,one'), true);
  assert.is(modules.drives('brcm,two'), true);
  assert.is(modules.drives('brcm,o'), false);
  assert.is(modules.has('a'), true);
});

if (tree)
  test("the overlay for new Pi 5 is one that the firmware can apply, without the device tree's symbols", ({
    dir,
  }) => {
    const out = join(dir, 'overlay.dtbo');
    run('dtc', ['-q', '-I', 'dts', '-O', 'dtb', '-o', out, 'build/image/overlays/bcm2712d0.dts']);
    const nodes = treeNodes(readFileSync(out));
    assert.equal([...compatibles(nodes)].slice(0, 1), ['brcm,bcm2712']);
    const targets = nodes.flatMap(({ properties }) => stringsOf(properties.get('target-path')));
    assert.is(targets.length, 4);
    assert.is(
      nodes.some(({ path }) => path === '/__fixups__'),
      false,
    );
  });

if (long && tree && requireProgram('mmdebstrap', 'mmdebstrap') && requireProgram('mcopy', 'mtools'))
  for (const [board, expected] of Object.entries(expectations))
    test(`${board}: what the firmware, the kernel and Wi-Fi look for is there`, async ({ dir }) => {
      const path = join(dir, 'board.img');
      const begun = performance.now();
      await makeImage(board, path);
      process.stdout.write(
        `${board}: ${Math.round((performance.now() - begun) / 1000)} s, ${(statSync(path).size / 1e6).toFixed(0)} MB\n`,
      );
      const image = new ImageFile(path);
      assert.is(image.faults(2), '');
      assert.is(image.faults(4), '');
      for (const folder of ['boot', 'root', 'state']) mkdirSync(join(dir, folder));
      image.copyBoot(join(dir, 'boot'));
      checkBoot(join(dir, 'boot'), expected);
      image.copyFolder(2, '/usr/lib/modules', join(dir, 'root'));
      image.copyFolder(2, '/usr/lib/firmware', join(dir, 'root'));
      image.copyFolder(2, '/etc/systemd', join(dir, 'root'));
      checkRoot(join(dir, 'root'), join(dir, 'boot'), expected);
      image.copyFolder(4, '/etc', join(dir, 'state'));
      checkState(join(dir, 'state/etc'));
      if (board === 'rpi5') checkOverlay(join(dir, 'boot'), dir);
    });

function makeImage(board: string, out: string): Promise<void> {
  const args = [
    ...['--import', 'tsx', 'build/image/image.ts', '--board', board, '--out', out, '--node-name', 'edge-7'],
    ...['--join', 'cloud.example:10000', '--token', 'hash.jwt', '--wifi', 'Hall 3:a password'],
    ...['--static-ip', '10.0.0.7/24,10.0.0.1'],
  ];
  return new Promise((resolve, reject) => {
    execFile(process.execPath, args, (error, _, stderr) =>
      error ? reject(new Error(`no image: ${stderr || error.message}`)) : resolve(),
    );
  });
}

/** The boot partition: firmware, what it reads, and in the folder of the slot what it loads. */
function checkBoot(boot: string, { trees, firmware, early }: Expectation): void {
  for (const name of firmware) assert.ok(statSync(join(boot, name)).size > 0, name);
  const settings = (name: string) => new Set(readFileSync(join(boot, name), 'utf8').split('\n'));
  const common = ['arm_64bit=1', 'kernel=vmlinuz', 'initramfs initrd followkernel', 'upstream_kernel=1'];
  for (const line of ['os_prefix=a/', ...common]) assert.ok(settings('config.txt').has(line), line);
  for (const line of ['os_prefix=b/', ...common]) assert.ok(settings('tryboot.txt').has(line), line);
  assert.is(faultOfKernel(readFileSync(join(boot, 'a/vmlinuz'))), undefined);
  assert.match(readFileSync(join(boot, 'a/cmdline.txt'), 'utf8'), /^[^\n]*edgecore\.root=[^\n]*\n$/);
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
  for (const device of early) {
    assert.ok(devices.has(device), `${device} is in no device tree`);
    assert.ok(modules.drives(device), `nothing in the initramfs drives ${device}`);
  }
}

/** The root: drivers and firmware of the network, and what starts Wi-Fi. */
function checkRoot(root: string, boot: string, { late, lateModules, wifi, trees }: Expectation): void {
  const modules = Modules.ofRoot(join(root, 'modules'));
  assert.equal(modules.missing(), []);
  const [tree = ''] = Object.keys(trees);
  const devices = compatibles(treeNodes(readFileSync(join(boot, 'a', tree))));
  for (const device of late) {
    assert.ok(devices.has(device), `${device} is not in ${tree}`);
    assert.ok(modules.drives(device), `nothing in the root drives ${device}`);
  }
  for (const name of [...lateModules, 'brcmfmac', 'brcmfmac-wcc', 'bcm2835_wdt', 'zram'])
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
function checkOverlay(boot: string, dir: string): void {
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

test.run();
