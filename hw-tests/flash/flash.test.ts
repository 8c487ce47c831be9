import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { parse } from 'yaml';
import { requireProgram } from '../real-parts.ts';
import { FakeRoot } from './fake-root.ts';
import { BOOT, raspberryOs } from './raspberry-os.ts';

const MB = 1_000_000;
type Context = { root: FakeRoot; dir: string; image: string };
const test = suite<Context>('edgecore-flash');
const fat =
  requireProgram('mcopy', 'mtools') !== undefined && requireProgram('sfdisk', 'fdisk') !== undefined;

test.before.each((context) => {
  context.dir = mkdtempSync(join(tmpdir(), 'edgecore-flash-'));
  context.image = join(context.dir, 'edgecore.img');
  const bytes = randomBytes(9 * MB);
  bytes.writeUInt16BE(0x55aa, 510);
  writeFileSync(context.image, bytes);
  context.root = new FakeRoot(
    [
      {
        name: 'sda',
        bytes: 64 * MB,
        number: '8:0',
        partitions: [{ name: 'sda1', number: '8:1', holder: 'dm-0' }],
      },
      { name: 'dm-0', bytes: 60 * MB, number: '253:0' },
      {
        name: 'sdb',
        bytes: 32 * MB,
        number: '8:16',
        files: { removable: '1', ro: '0' },
        partitions: [{ name: 'sdb1', number: '8:17' }],
      },
      { name: 'sdc', bytes: 4 * MB, number: '8:32', bus: 'pci0000:00/usb1/1-2' },
      { name: 'sdd', bytes: 0, number: '8:48', files: { removable: '1' } },
      { name: 'sde', bytes: 32 * MB, number: '8:64', files: { removable: '1', ro: '1' } },
      {
        name: 'sdf',
        bytes: 32 * MB,
        number: '8:80',
        partitions: [{ name: 'sdf1', number: '8:81' }],
        files: { removable: '1' },
      },
      { name: 'nvme0n1', bytes: 64 * MB, number: '259:0' },
    ],
    '22 1 253:0 / / rw - ext4 /dev/mapper/root rw\n',
    '/dev/sdf1 partition 1000 0 -2\n',
  );
});
test.after.each(({ root, dir }) => {
  root.remove();
  rmSync(dir, { recursive: true, force: true });
});

function flash({ root }: Context, args: readonly string[], input = '') {
  const { status, stdout, stderr } = spawnSync(
    'dist/edgecore-flash/edgecore-flash',
    [...args, '--root', root.dir],
    { encoding: 'utf8', input },
  );
  return { status, stdout, stderr };
}

test('an image lies on the card byte by byte, was read back, and what was behind it stays', (context) => {
  const { root, image } = context;
  const { status, stdout, stderr } = flash(context, ['write', image, 'sdb', '--yes']);
  assert.is(status, 0, stderr);
  assert.match(stdout, /written 100 %/);
  assert.match(stdout, /verified 100 %/);
  assert.match(stdout, /sdb is written and verified/);
  const card = readFileSync(root.device('sdb'));
  assert.is(card.length, 32 * MB);
  assert.ok(card.subarray(0, 9 * MB).equals(readFileSync(image)));
  assert.ok(card.subarray(9 * MB).every((byte) => byte === 0));
});

test('it asks once, and takes only the name of the card for a yes', (context) => {
  const { root, image } = context;
  const refused = flash(context, ['write', image, 'sdb'], 'yes\n');
  assert.match(refused.stdout, /All that is on it will be lost/);
  assert.is(refused.status, 1);
  assert.ok(readFileSync(root.device('sdb')).every((byte) => byte === 0));
  assert.is(flash(context, ['write', image, 'sdb'], '').status, 1);
  assert.is(flash(context, ['write', image, 'sdb'], 'sdb\n').status, 0);
  assert.ok(
    readFileSync(root.device('sdb'))
      .subarray(0, 9 * MB)
      .equals(readFileSync(image)),
  );
});

test('other disks are refused, each with its reason, and not touched', (context) => {
  const { root, image } = context;
  for (const [name, reason] of [
    ['sda', /this machine uses it: \//],
    ['sdc', /too small for 9 MB/],
    ['sdd', /no card in it/],
    ['sde', /write-protected/],
    ['sdf', /this machine uses it: swap/],
    ['nvme0n1', /built in/],
    ['sdx', /there is no disk sdx/],
  ] as const) {
    const { status, stderr } = flash(context, ['write', image, name, '--yes']);
    assert.is(status, 1, name);
    assert.match(stderr, reason);
    if (name !== 'sdx')
      assert.ok(
        readFileSync(root.device(name)).every((byte) => byte === 0),
        name,
      );
  }
});

test('the disk that this very machine runs from is refused', ({ image }) => {
  const [name] = spawnSync(
    'sh',
    ['-c', 'lsblk -ndo NAME | grep -v -E "^(loop|zram|ram|sr|fd)" | head -n 1'],
    {
      encoding: 'utf8',
    },
  ).stdout.split('\n');
  if (!name) return; // a machine without disks
  const { status, stderr } = spawnSync(
    'dist/edgecore-flash/edgecore-flash',
    ['write', image, name, '--yes'],
    {
      encoding: 'utf8',
    },
  );
  assert.is(status, 1);
  assert.match(stderr, /is not written to: (this machine uses it|it is built in)/);
});

test('what is no image of a disk is not written', (context) => {
  writeFileSync(context.image, 'PK');
  truncateSync(context.image, MB);
  const { status, stderr } = flash(context, ['write', context.image, 'sdb', '--yes']);
  assert.is(status, 1);
  assert.match(stderr, /no partition table/);
});

if (fat) {
  test('a card with Raspberry Pi OS gets what cloud-init needs, the token in one file only', (context) => {
    const { dir } = context;
    const card = raspberryOs(dir, 48);
    const deb = join(dir, 'edgecore.deb');
    const key = join(dir, 'key.pub');
    writeFileSync(deb, 'a package');
    writeFileSync(key, 'ssh-ed25519 AAAA me\n');
    const { status, stderr } = flash(context, [
      ...['prepare', card, '--join', 'cloud.example:10000', '--token', 'hash.secret', '--deb', deb],
      ...[
        '--node-name',
        'edge-7',
        '--ssh-key',
        key,
        '--wifi',
        'Works:a password',
        '--static-ip',
        '10.1.0.7/24,10.1.0.1',
      ],
    ]);
    assert.is(status, 0, stderr);
    const read = (name: string): string =>
      spawnSync('mtype', ['-i', `${card}${BOOT}`, `::${name}`], { encoding: 'utf8' }).stdout;
    assert.match(read('user-data'), /^#cloud-config\n/);
    const user = parse(read('user-data')) as { hostname: string; users: { ssh_authorized_keys: string[] }[] };
    assert.is(user.hostname, 'edge-7');
    assert.equal(user.users[0]?.ssh_authorized_keys, ['ssh-ed25519 AAAA me']);
    assert.not.match(read('user-data') + read('meta-data') + read('network-config'), /hash\.secret/);
    assert.match(read('edgecore/edgecore.yaml'), /token: hash\.secret/);
    assert.is(read('edgecore/edgecore.deb'), 'a package');
    const { network } = parse(read('network-config')) as {
      network: { wifis: object; ethernets: { eth0: object } };
    };
    assert.equal(network.ethernets.eth0, {
      optional: true,
      addresses: ['10.1.0.7/24'],
      routes: [{ to: 'default', via: '10.1.0.1' }],
    });
    assert.match(JSON.stringify(network.wifis), /"Works":\{"password":"a password"\}/);
  });

  test('what has no boot partition is not prepared, and every fault of the command line is named', (context) => {
    const { image, dir } = context;
    const deb = join(dir, 'edgecore.deb');
    writeFileSync(deb, 'a package');
    const other = flash(context, ['prepare', image, '--join', 'c:1', '--token', 'x', '--deb', deb]);
    assert.match(other.stderr, /does not begin with a boot partition/);
    const wrong = flash(context, ['prepare', image, '--join', 'nowhere', '--wifi', 'x']);
    assert.is(wrong.status, 2);
    for (const fault of [
      /--join nowhere: want HOST:PORT/,
      /--wifi x: want SSID:PASSWORD/,
      /--token is missing/,
      /--deb FILE/,
    ])
      assert.match(wrong.stderr, fault);
  });
}

test.run();
