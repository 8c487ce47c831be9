import { execFileSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { EdgeError } from '../core/errors.ts';
import { runCommand } from './cli.ts';

type Context = { dir: string; mappers: string; run: (line: string) => Promise<string> };
const test = suite<Context>('edgecore mapper');

test.before.each((context) => {
  const dir = mkdtempSync(join(tmpdir(), 'edgecore-cli-'));
  const assets = join(dir, 'assets');
  cpSync('mappers/template', join(assets, 'mapper-template'), { recursive: true });
  const mappers = join(dir, 'mappers');
  context.dir = dir;
  context.mappers = mappers;
  context.run = async (line) => {
    let printed = '';
    const [name = '', verb = '', ...args] = line.replaceAll('~', dir).split(' ');
    const where = verb === 'new' ? ['--in', dir] : ['--directory', mappers];
    const print = (text: string): void => {
      printed += text;
    };
    try {
      await runCommand(name, [verb, ...args, ...(args.includes('--help') || !verb ? [] : where)], {
        print,
        assets: [assets],
        version: '1.0.0',
        slots: undefined,
      });
    } catch (error) {
      if (error instanceof EdgeError) return `${error.code}: ${error.message}`;
      throw error;
    }
    return printed;
  };
});
test.after.each(({ dir }) => rmSync(dir, { recursive: true, force: true }));

test('a new mapper has its name everywhere, and is not written over', async ({ run, dir }) => {
  assert.match(await run('mapper new oven-probe'), /oven-probe is made/);
  const files = readdirSync(join(dir, 'oven-probe'));
  assert.ok(
    ['main.mjs', 'main.test.mjs', 'mapper.json', 'README.md', 'device.yaml', 'kit.d.mts'].every((f) =>
      files.includes(f),
    ),
  );
  for (const file of files)
    assert.not.match(readFileSync(join(dir, 'oven-probe', file), 'utf8'), /example-probe/);
  assert.match(await run('mapper new oven-probe'), /^MAPPER_FOLDER_EXISTS: .*oven-probe$/);
  assert.match(await run('mapper new Oven'), /^CLI_USAGE: .*NAME = "Oven": want small letters/);
});

test('install, list, disable, enable, remove', async ({ run, mappers }) => {
  assert.match(
    await run('mapper list'),
    /no mappers are installed in .*; edgecore mapper install SOURCE installs one/,
  );
  await run('mapper new probe');
  assert.is(
    await run('mapper install ~/probe'),
    'mapper probe 1.0.0 is installed; edgecore loads it when it starts\n',
  );
  assert.match(
    await run('mapper list'),
    /no edgecore runs plugins[^\n]*\nNAME +VERSION .*\nprobe +1\.0\.0 +probe +installed +0\n/,
  );
  assert.is(await run('mapper disable probe'), 'mapper probe is disabled\n');
  const listed = JSON.parse(await run('mapper list --output json'));
  assert.equal(listed.mappers, [
    { name: 'probe', version: '1.0.0', protocols: ['probe'], state: 'disabled', reason: '', devices: 0 },
  ]);
  assert.is(listed.running, false);
  assert.match(await run('mapper install ~/probe'), /disabled as before: edgecore mapper enable probe/);
  assert.is(await run('mapper enable probe'), 'mapper probe is enabled\n');
  assert.is(await run('mapper remove probe'), 'mapper probe is removed\n');
  assert.equal(readdirSync(mappers), []);
});

test('an archive may hold the files or one folder with them', async ({ run, dir, mappers }) => {
  await run('mapper new probe');
  const tar = (...args: string[]): unknown => execFileSync('tar', args, { cwd: dir });
  tar('-czf', 'folder.tgz', 'probe');
  tar('-cf', 'files.tar', '-C', 'probe', '.');
  for (const archive of ['folder.tgz', 'files.tar']) {
    assert.match(await run(`mapper install ~/${archive}`), /probe 1\.0\.0 is installed/);
    assert.ok(existsSync(join(mappers, 'probe', 'main.mjs')), archive);
    await run('mapper remove probe');
  }
});

test('what leads out of the folder, packages and hidden files stay behind', async ({ run, dir, mappers }) => {
  await run('mapper new probe');
  const probe = join(dir, 'probe');
  symlinkSync('/etc/hostname', join(probe, 'secret'));
  mkdirSync(join(probe, 'node_modules'));
  writeFileSync(join(probe, '.env'), 'a=b');
  await run('mapper install ~/probe');
  const files = readdirSync(join(mappers, 'probe'));
  assert.ok(files.includes('main.mjs'));
  for (const file of ['secret', 'node_modules', '.env']) assert.not.ok(files.includes(file), file);
});

test('what cannot be installed is refused, and what is installed stays', async ({ run, dir, mappers }) => {
  await run('mapper new probe');
  await run('mapper install ~/probe');
  writeFileSync(join(dir, 'probe', 'mapper.json'), '{"name":"probe"}');
  assert.match(
    await run('mapper install ~/probe'),
    /^MAPPER_REFUSED: .*version: is missing; contract: is missing/,
  );
  assert.match(await run('mapper install ~/nowhere'), /^MAPPER_REFUSED: .*there is no such file or folder/);
  assert.match(await run('mapper install ~/probe/main.mjs'), /^MAPPER_REFUSED: .*it is no tar archive/);
  assert.equal(readdirSync(mappers), ['probe']);
  assert.match(await run('mapper list'), /probe +1\.0\.0/);
});

for (const [line, wanted] of [
  ['mapper ', /want one of new, install, list, enable, disable, remove/],
  ['mapper instal x', /edgecore mapper instal: want one of/],
  ['mapper install', /SOURCE is missing/],
  ['mapper list more', /more is too much/],
  ['mapper list --output xml', /--output xml: want json or table/],
  ['mapper list --bogus', /Unknown option '--bogus'$/],
  ['toString x', /there is no command toString: want one of .*mapper/],
] as const) {
  test(`${line} is explained`, async ({ run }) => {
    const told = await run(line);
    assert.match(told, /^CLI_USAGE: /);
    assert.match(told, wanted);
  });
}

test('a mapper that is not there is named, whatever it is called', async ({ run }) => {
  for (const name of ['probe', '..', '.kept'])
    assert.match(await run(`mapper remove ${name}`), /^MAPPER_UNKNOWN: /);
});

test('help is printed for any subcommand', async ({ run }) => {
  assert.match(await run('mapper install --help'), /install SOURCE/);
});

test.run();
