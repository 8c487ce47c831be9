import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { parse } from 'yaml';
import { type ImageOptions, parseOptions } from './options.ts';
import { edgecoreYaml } from './state.ts';

const test = suite<{ dir: string }>('image options');
test.before((context) => {
  context.dir = mkdtempSync(join(tmpdir(), 'edgecore-options-'));
});
test.after(({ dir }) => rmSync(dir, { recursive: true, force: true }));

const least = ['--board', 'virt', '--join', 'cloud.example:10000', '--token', 'hash.jwt'];

function optionsOf(...more: string[]): ImageOptions {
  const parsed = parseOptions([...least, ...more], () => '');
  if ('faults' in parsed) throw new Error(parsed.faults.join('\n'));
  return parsed.options;
}

function faultsOf(...args: string[]): string {
  const parsed = parseOptions(args, () => '');
  return 'faults' in parsed ? parsed.faults.join('\n') : '';
}

test('the least that must be said is enough', () => {
  const options = optionsOf();
  assert.equal(options.join, { host: 'cloud.example', port: 10_000, enrolmentPort: 10_002 });
  assert.is(options.out, 'dist/edgecore-virt.img');
  assert.is(options.nodeName, undefined);
});

test('with a key an update is made, too, and without a cloud the update alone', ({ dir }) => {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const key = join(dir, 'key.pem');
  writeFileSync(key, privateKey.export({ type: 'pkcs8', format: 'pem' }));
  assert.is(optionsOf('--sign', key).out, 'dist/edgecore-virt.img');
  const parsed = parseOptions(
    ['--board', 'rpi4', '--sign', key, '--version', '0.2.0', '--out', 'x.tar.gz'],
    () => '',
  );
  assert.ok('options' in parsed);
  if ('options' in parsed) {
    assert.equal([parsed.options.out, parsed.options.update], [undefined, 'x.tar.gz']);
    assert.is(parsed.options.version, '0.2.0');
  }
  writeFileSync(key, publicKey.export({ type: 'spki', format: 'pem' }));
  const wrong = faultsOf('--board', 'virt', '--sign', key, '--version', '2');
  assert.match(wrong, 'has no private key in PEM');
  assert.match(wrong, '--version 2: want a version');
  assert.match(faultsOf('--board', 'virt', '--sign', key, '--token', 'x'), '--join is missing');
});

test('a token can come from standard input, where no list of processes shows it', () => {
  const parsed = parseOptions(['--board', 'virt', '--join', 'a:1', '--token', '-'], () => 'hash.jwt\n');
  assert.ok('options' in parsed && parsed.options.token === 'hash.jwt');
});

test('Wi-Fi, a fixed address and keys are taken apart', ({ dir }) => {
  const keys = join(dir, 'key.pub');
  writeFileSync(keys, 'ssh-ed25519 AAAA me\n');
  const options = optionsOf(
    '--wifi',
    'Hall 3:pass:word',
    '--static-ip',
    '10.0.0.7/24,10.0.0.1,9.9.9.9',
    '--ssh-key',
    keys,
  );
  assert.equal(options.wifi, { ssid: 'Hall 3', password: 'pass:word', country: 'DE' });
  assert.equal(options.staticIp, { address: '10.0.0.7/24', gateway: '10.0.0.1', dns: ['9.9.9.9'] });
  assert.is(options.sshKeys, 'ssh-ed25519 AAAA me\n');
});

test('every fault is named, with what is wanted', ({ dir }) => {
  const secret = join(dir, 'id');
  writeFileSync(secret, '-----BEGIN OPENSSH PRIVATE KEY-----\n');
  const faults = faultsOf(
    ...['--board', 'rpi9', '--join', 'cloud', '--node-name', 'Edge_1', '--wifi', 'x:short'],
    ...['--static-ip', '10.0.0.300/24,10.0.0.1', '--ssh-key', secret, '--config', join(dir, 'none')],
  );
  for (const fault of [
    /--board rpi9: there are virt, rpi3/,
    /--join cloud: want HOST:PORT/,
    /--token is missing/,
    /--node-name Edge_1: want/,
    /--wifi x:short: the password has 8 to 63/,
    /--static-ip 10.0.0.300\/24,10.0.0.1: want ADDRESS\/BITS/,
    /--ssh-key .*: that is the private key/,
    /--config .*: there is no such file/,
  ])
    assert.match(faults, fault);
  assert.match(faultsOf('--bord', 'virt'), /--bord/);
});

test('edgecore.yaml has the cloud, and what --config adds', ({ dir }) => {
  const more = join(dir, 'more.yaml');
  writeFileSync(more, 'modules: { eventBus: { mqttQOS: 1 }, edgeHub: { heartbeat: 30 } }\n');
  const file = parse(edgecoreYaml(optionsOf('--node-name', 'edge-7', '--config', more)));
  assert.equal(file.modules, {
    edgeHub: {
      httpServer: 'https://cloud.example:10002',
      token: 'hash.jwt',
      websocket: { server: 'cloud.example:10000' },
      heartbeat: 30,
    },
    edged: { hostnameOverride: 'edge-7' },
    eventBus: { mqttQOS: 1 },
  });
});

test('a fault of edgecore.yaml is found before the card is written', ({ dir }) => {
  const more = join(dir, 'wrong.yaml');
  writeFileSync(more, 'modules: { edgeHub: { heartbeat: soon } }\n');
  assert.throws(() => edgecoreYaml(optionsOf('--config', more)), /heartbeat/);
});

test.run();
