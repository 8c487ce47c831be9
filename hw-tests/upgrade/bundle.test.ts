import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { EdgeError } from '../../runtime/core/errors.ts';
import { type Disk, systemDisk } from '../../runtime/upgrade/disk.ts';
import { installBundle } from '../../runtime/upgrade/install.ts';
import { FileSlots } from '../../runtime/upgrade/slots.ts';
import { newKeys, SmallGateway } from './small.ts';

type Context = {
  dir: string;
  gateway: SmallGateway;
  install(source: string, options?: { force?: boolean; disk?: Disk }): Promise<string>;
};
const test = suite<Context>('bundles');

test.before.each((context) => {
  context.dir = mkdtempSync(join(tmpdir(), 'edgecore-bundle-'));
  const gateway = new SmallGateway(context.dir, '1.0.0');
  context.gateway = gateway;
  context.install = async (source, { force = false, disk = systemDisk } = {}) => {
    const slots = new FileSlots(gateway.slots, '1.0.0');
    try {
      const options = { source, keys: gateway.keysFolder, slots, version: '1.0.0', force, disk };
      return (await installBundle(options)).slot;
    } catch (error) {
      // Nothing half-done is left, and the version in use still starts.
      assert.equal(
        readdirSync(gateway.slots).filter((name) => /^(\d|\.incoming)/.test(name)),
        [],
      );
      assert.is(gateway.start(), 'base');
      if (error instanceof EdgeError) return `${error.code}: ${error.message}`;
      throw error;
    }
  };
});
test.after.each(({ dir }) => rmSync(dir, { recursive: true, force: true }));

test('a bundle that is signed, newer and for this machine gets a slot, with its files as they were', async ({
  gateway,
  install,
}) => {
  const slot = await install(await gateway.bundle('1.1.0'));
  assert.match(slot, /^1\.1\.0-[0-9a-f]{8}$/);
  assert.is(gateway.faultOf(slot), undefined);
  assert.ok(statSync(join(gateway.slots, slot, 'edgecore')).mode & 0o100, 'the program may be run');
  assert.is(gateway.start(), 'base', 'nothing is in use yet');
  assert.is(await install(await gateway.bundle('1.1.0')), slot, 'the same again changes nothing');
});

test('a signature of somebody else is refused, and so is any when nobody is trusted', async ({
  dir,
  gateway,
  install,
}) => {
  const theirs = await gateway.bundle('1.1.0', { key: newKeys().private });
  assert.match(await install(theirs), /^UPGRADE_UNTRUSTED: .*no key in .*keys has signed/);
  const ours = await gateway.bundle('1.1.0');
  rmSync(join(dir, 'keys', 'vendor.pem'));
  assert.match(await install(ours), /^UPGRADE_UNTRUSTED: .*there is no public key in/);
  writeFileSync(join(dir, 'keys', 'vendor.pem'), 'ssh-ed25519 AAAA');
  assert.match(await install(ours), /^UPGRADE_UNTRUSTED: .*vendor\.pem: it is no public key in PEM/);
});

test('what was changed after it was signed is refused', async ({ gateway, install }) => {
  const bundle = await gateway.bundle('1.1.0');
  const archive = gunzipSync(readFileSync(bundle));
  const changed = Buffer.from(archive);
  const at = changed.lastIndexOf('1.1.0');
  changed.write('6.6.6', at);
  writeFileSync(bundle, gzipSync(changed));
  assert.match(await install(bundle), /^UPGRADE_DAMAGED: .*(is not what was signed|header is damaged)/);
  const early = Buffer.from(archive);
  early.write('9.9.9', early.indexOf('1.1.0'));
  writeFileSync(bundle, gzipSync(early));
  assert.match(await install(bundle), /^UPGRADE_UNTRUSTED/);
});

test('a bundle for another machine, an older one, and the same version are refused by name', async ({
  gateway,
  install,
}) => {
  const other = await gateway.bundle('1.1.0', { platform: 'linux-riscv64' });
  assert.match(await install(other), /^UPGRADE_WRONG_MACHINE: .*it is for linux-riscv64, this machine is/);
  const older = await gateway.bundle('0.9.0');
  assert.match(await install(older), /^UPGRADE_OLDER: .*it is 0\.9\.0, in use is 1\.0\.0/);
  assert.match(await install(await gateway.bundle('1.0.0')), /^UPGRADE_OLDER/);
  assert.match(await install(older, { force: true }), /^0\.9\.0-/, '--force takes it');
});

test('a bundle that is cut short anywhere is refused', async ({ gateway, install }) => {
  const bundle = await gateway.bundle('1.1.0');
  const whole = statSync(bundle).size;
  for (const bytes of [0, 10, whole >> 2, whole >> 1, whole - 1]) {
    const fd = openSync(bundle, 'r+');
    ftruncateSync(fd, bytes);
    closeSync(fd);
    assert.match(await install(bundle), /^UPGRADE_DAMAGED/, `${bytes} of ${whole} bytes`);
    await gateway.bundle('1.1.0');
  }
});

test('what is no bundle, or not there, is named', async ({ dir, gateway, install }) => {
  const path = join(dir, 'notes.txt');
  writeFileSync(path, 'hello');
  assert.match(await install(path), /^UPGRADE_DAMAGED/);
  writeFileSync(path, gzipSync(Buffer.alloc(2048)));
  assert.match(await install(path), /^UPGRADE_DAMAGED: .*it is no bundle of edgecore/);
  assert.match(await install(join(dir, 'nowhere')), /^UPGRADE_UNREACHABLE: .*nowhere/);
  mkdirSync(join(dir, 'folder'));
  assert.match(await install(join(dir, 'folder')), /^UPGRADE_UNREACHABLE: .*it is no file/);
  assert.ok(gateway);
});

test('a disk that fills up while a bundle is written is named, and nothing stays', async ({
  gateway,
  install,
}) => {
  const full: Disk = {
    ...systemDisk,
    create: async (path, mode) => {
      const file = await systemDisk.create(path, mode);
      const write = async (): Promise<never> => {
        throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
      };
      return path.endsWith('part.bin') ? { ...file, write } : file;
    },
  };
  assert.match(await install(await gateway.bundle('1.1.0'), { disk: full }), /^UPGRADE_NO_ROOM: .*slots/);
});

test('a bundle is fetched from a server; one that breaks off or refuses is named', async ({
  gateway,
  install,
}) => {
  const bundle = readFileSync(await gateway.bundle('1.1.0'));
  const server: Server = createServer((request, response) => {
    if (request.url === '/none') return response.writeHead(404).end();
    response.writeHead(200, { 'content-length': bundle.length });
    if (request.url === '/whole') return response.end(bundle);
    response.write(bundle.subarray(0, 30_000), () => response.destroy());
    return undefined;
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    assert.match(await install(`${url}/none`), /^UPGRADE_UNREACHABLE: .*the server answers 404/);
    assert.match(await install(`${url}/broken`), /^UPGRADE_UNREACHABLE: /);
    assert.match(await install(`${url}/whole`), /^1\.1\.0-/);
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
});

test('a package that is installed later counts more than an upgrade from before', async ({
  gateway,
  install,
}) => {
  const slot = await install(await gateway.bundle('1.1.0'));
  const slots = new FileSlots(gateway.slots, '1.0.0');
  const request = {
    version: '1.1.0',
    from: '1.0.0',
    at: 'x',
    within: -29,
    needsLink: false,
    needsRuntime: false,
  };
  await slots.setTrial(slot, { ...request, pods: [] });
  assert.is(gateway.start('--version'), 'base', 'a question is no start');
  assert.is(gateway.start('mapper', 'list'), 'base', 'nor is a command');
  assert.is(gateway.start(), '1.1.0');
  await slots.confirm(0);
  assert.is(gateway.start('--version'), '1.1.0');
  writeFileSync(join(gateway.base, 'version'), '1.2.0\n');
  assert.is(gateway.start(), 'base');
  const now = new FileSlots(gateway.slots, '1.2.0');
  assert.is((await now.state()).current, 'base');
  await now.recover(0);
  assert.equal(await now.unused(), [slot]);
});

test.run();
