import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { cpioOf } from '../../build/image/cpio.ts';
import { run } from '../../build/image/run.ts';
import { requireProgram } from '../real-parts.ts';
import { checkImage, checkOverlay } from './checks.ts';
import { compatibles, stringsOf, treeNodes } from './device-tree.ts';
import { expectations } from './expectations.ts';
import { initramfsFiles } from './image-file.ts';
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
    builtin: 'kernel/drivers/gamma.ko\n',
  };
  const modules = new Modules(texts, ['kernel/a.ko', 'kernel/b.ko']);
  assert.equal(modules.missing(), ['kernel/c.ko']);
  assert.is(modules.drives('brcm,one'), true);
  assert.is(modules.isBuiltin('gamma'), true);
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
      checkImage(path, dir, expected);
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

test.run();
