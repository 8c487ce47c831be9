import { lstatSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { parseOptions } from './options.ts';
import { makeState } from './state.ts';

const test = suite<{ dir: string }>('the state of an image');
test.before.each((context) => {
  context.dir = mkdtempSync(join(tmpdir(), 'edgecore-state-'));
});
test.after.each(({ dir }) => rmSync(dir, { recursive: true, force: true }));

function make(dir: string, ...more: string[]): (path: string) => string {
  const least = ['--board', 'rpi4', '--join', 'cloud.example:10000', '--token', 'hash.jwt'];
  const parsed = parseOptions([...least, ...more], () => '');
  if ('faults' in parsed) throw new Error(parsed.faults.join('\n'));
  makeState(dir, parsed.options);
  return (path) => readFileSync(join(dir, path), 'utf8');
}

test('Wi-Fi: a file for wpa_supplicant that only root reads; the key is made as the standard shows', ({
  dir,
}) => {
  const read = make(dir, '--wifi', 'IEEE:password', '--country', 'AT');
  const path = 'etc/wpa_supplicant/wpa_supplicant-wlan0.conf';
  const key = 'f42c6fc52df0ebef9ebb4b90b38a5f902e83fe1b135a70e23aed762e9710a12e';
  assert.is(read(path), `country=AT\nnetwork={\n  ssid=49454545\n  psk=${key}\n}\n`);
  assert.is(lstatSync(join(dir, path)).mode & 0o777, 0o600);
});

test('Wi-Fi: nothing in a name or a password is taken for a sign of the file', ({ dir }) => {
  const read = make(dir, '--wifi', 'Halle 3 "süd":ge"heim\\#1');
  const file = read('etc/wpa_supplicant/wpa_supplicant-wlan0.conf');
  assert.match(file, /^ {2}ssid=48616c6c652033202273c3bc6422\n {2}psk=[0-9a-f]{64}$/m);
});

test('a fixed address: a file for networkd, for cables only', ({ dir }) => {
  const read = make(dir, '--static-ip', '10.0.0.7/24,10.0.0.1,9.9.9.9,fd00::1');
  assert.is(
    read('etc/network/10-static.network'),
    '[Match]\nName=en* eth* end*\n\n[Network]\nAddress=10.0.0.7/24\nGateway=10.0.0.1\nDNS=9.9.9.9\nDNS=fd00::1\n',
  );
});

test('without either there is neither file, and the join token is for root alone', ({ dir }) => {
  const read = make(dir);
  assert.equal(readdirSync(join(dir, 'etc/network')), []);
  assert.equal(readdirSync(join(dir, 'etc/wpa_supplicant')), []);
  assert.match(read('etc/kubeedge/config/edgecore.yaml'), /token: hash\.jwt/);
  assert.is(lstatSync(join(dir, 'etc/kubeedge/config/edgecore.yaml')).mode & 0o777, 0o600);
});

test.run();
