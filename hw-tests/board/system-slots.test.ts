import { execFile, spawnSync } from 'node:child_process';
import {
  createReadStream,
  createWriteStream,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { createGunzip } from 'node:zlib';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { run } from '../../build/image/run.ts';
import { makeUpgradeBundle } from '../../build/upgrade-bundle.ts';
import type { Outcome, SlotState } from '../../runtime/upgrade/slots.ts';
import { readTar } from '../../runtime/upgrade/tar.ts';
import { until } from '../program.ts';
import { freePorts } from '../stack.ts';
import { newKeys } from '../upgrade/small.ts';
import { canEmulate } from './gateway.ts';
import { Machine } from './machine.ts';

/** Whole systems on a machine that starts from an image: written to the other slot, tried, kept or left. Each start takes a
 * minute and each system is written through an emulated processor, so it runs with `--long` alone. */
const long = process.env.EDGECORE_LONG === 'true';
const test = suite<{ site: Site }>('two systems on one card');
const LIMIT = 900_000;

type Status = SlotState & { readonly version: string; readonly system: SlotState };

class Site {
  readonly dir = mkdtempSync(join(tmpdir(), 'edgecore-systems-'));
  readonly keys = newKeys();
  private started: Machine | undefined;
  /** `/VERSION`: the update. */
  private readonly server = createServer((request, response) => {
    createReadStream(this.bundle((request.url ?? '').slice(1)))
      .on('error', () => response.destroy())
      .pipe(response);
  });

  get machine(): Machine {
    if (!this.started) throw new Error('there is no machine');
    return this.started;
  }

  /** Makes an image of 0.1.0, and an update to 0.2.0. */
  async make(): Promise<void> {
    const ssh = join(this.dir, 'ssh');
    spawnSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', ssh]);
    writeFileSync(join(this.dir, 'key.pem'), this.keys.private);
    const image = join(this.dir, 'card.img');
    const common = ['--board', 'virt', '--sign', join(this.dir, 'key.pem')];
    // A cloud that is not there: the node works without.
    await makeImage(
      ...common,
      '--join',
      '10.0.2.2:1',
      '--token',
      'none',
      '--node-name',
      'edge-slots',
      '--ssh-key',
      `${ssh}.pub`,
      '--version',
      '0.1.0',
      '--out',
      image,
    );
    await makeImage(...common, '--version', '0.2.0', '--out', this.bundle('0.2.0'));
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    truncateSync(image, 3 * 1024 ** 3);
    const { kubelet } = await freePorts();
    this.started = new Machine({
      dir: this.dir,
      image,
      memoryMiB: 256,
      key: ssh,
      sshPort: kubelet,
      forwards: {},
      line: '',
    });
    await this.machine.start();
    await this.machine.reachable();
  }

  bundle(version: string): string {
    return join(this.dir, `edgecore-system-${version}-virt.tar.gz`);
  }

  /** Makes a system whose root has no first program, of the parts of the good one. */
  async makeBroken(version: string): Promise<void> {
    const folder = join(this.dir, 'broken');
    const root = join(this.dir, 'broken-root');
    for (const name of ['boot', 'dev', 'etc', 'proc', 'run', 'sys', 'var'])
      mkdirSync(join(root, name), { recursive: true });
    writeFileSync(join(root, 'etc/machine-id'), '');
    mkdirSync(folder);
    for await (const { name, content } of readTar(
      createReadStream(this.bundle('0.2.0')).pipe(createGunzip()),
    ))
      if (['vmlinuz', 'initrd', 'arguments'].includes(name))
        await pipeline(content, createWriteStream(join(folder, name)));
    const file = join(folder, 'root.ext4');
    writeFileSync(file, '');
    truncateSync(file, 8 * 1024 ** 2);
    run('mke2fs', ['-q', '-F', '-t', 'ext4', '-O', '^has_journal', '-d', root, file]);
    const [out, key] = [this.bundle(version), this.keys.private];
    await makeUpgradeBundle({ folder, out, key, platform: 'virt', builtAt: Date.now(), system: { version } });
  }

  /** The slot that runs. */
  async slot(): Promise<string> {
    return (await this.machine.shell("sed -n 's/.*edgecore.slot=\\(.\\).*/\\1/p' /proc/cmdline")).trim();
  }

  async status(): Promise<Status> {
    return JSON.parse(await this.machine.shell('edgecore upgrade --status --output json')) as Status;
  }

  /** Begins an upgrade in the machine, which ends its shell when it restarts. */
  async upgrade(version: string): Promise<void> {
    const { port } = this.server.address() as AddressInfo;
    const url = `http://10.0.2.2:${port}/${version}`;
    await this.machine.shell(`setsid edgecore upgrade ${url} >/var/tmp/upgrade.log 2>&1 </dev/null &`);
  }

  /** What became of the upgrade to a version, once the machine has noted it. */
  async outcomeOf(version: string): Promise<Outcome> {
    return until(
      `the upgrade to ${version} is decided`,
      async () => {
        const { outcome } = await this.status();
        return outcome?.version === version && outcome;
      },
      LIMIT,
    );
  }

  async close(): Promise<void> {
    await this.started?.kill();
    this.server.close();
    rmSync(this.dir, { recursive: true, force: true });
  }
}

async function makeImage(...args: readonly string[]): Promise<void> {
  await promisify(execFile)(process.execPath, ['--import', 'tsx', 'build/image/image.ts', ...args]);
}

if (long && canEmulate()) {
  test.before(async (context) => {
    context.site = new Site();
    try {
      await context.site.make();
    } catch (error) {
      process.stdout.write(`no machine: ${String(error)}\n`); // a hook's error is not printed
      throw error;
    }
  });
  test.after(({ site }) => site.close());

  test('the power goes while a system is written: the one in use starts', async ({ site }) => {
    assert.is(await site.slot(), 'a');
    await site.upgrade('0.2.0');
    const written = async (): Promise<number> =>
      Number(await site.machine.shell('awk \'$3 == "vda3" { print $10 / 2048 }\' /proc/diskstats'));
    await until('some of it is written', async () => (await written()) > 50, LIMIT);
    await site.machine.kill();
    await site.machine.start();
    await site.machine.reachable();
    assert.is(await site.slot(), 'a');
    const { system, outcome } = await site.status();
    assert.equal(
      [system.current, system.previous, system.trial, outcome],
      ['a', undefined, undefined, undefined],
    );
  });

  test('a newer system is tried and kept', async ({ site }) => {
    const begun = performance.now();
    await site.upgrade('0.2.0');
    const outcome = await site.outcomeOf('0.2.0');
    process.stdout.write(`kept after ${((performance.now() - begun) / 1000).toFixed(0)} s\n`);
    assert.equal([outcome.result, outcome.slot, outcome.from], ['confirmed', 'b', '0.1.0']);
    assert.is(await site.slot(), 'b');
    assert.is((await site.machine.shell('edgecore --version')).trim(), '0.2.0');
    await site.machine.kill();
    await site.machine.start();
    await site.machine.reachable();
    assert.is(await site.slot(), 'b');
    assert.is((await site.machine.shell('systemctl --failed --plain --no-legend')).trim(), '');
  });

  test('a system whose root does not start is left by itself, and the reason told', async ({ site }) => {
    await site.makeBroken('0.3.0');
    await site.upgrade('0.3.0');
    const outcome = await site.outcomeOf('0.3.0');
    assert.equal([outcome.result, outcome.slot], ['rolled back', 'a']);
    assert.match(outcome.reason, 'did not start');
    assert.match(readFileSync(site.machine.log, 'utf8'), 'Kernel panic');
    assert.is(await site.slot(), 'b');
    assert.is((await site.status()).version, '0.2.0');
  });
}

test.run();
