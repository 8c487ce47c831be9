import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { faultLine } from '../../runtime/core/config-faults.ts';
import { defaultConfigText, loadConfig, minConfigText, parseConfig } from './config.ts';

const minimal = minConfigText();

function faultsIn(text: string): string[] {
  const parsed = parseConfig(text);
  return 'faults' in parsed ? parsed.faults.map(faultLine) : [];
}

test('what --minconfig and --defaultconfig print is accepted', () => {
  assert.equal(faultsIn(minimal), []);
  assert.equal(faultsIn(defaultConfigText()), []);
});

test('defaults are KubeEdge’s', () => {
  const parsed = parseConfig(minimal);
  assert.ok('config' in parsed);
  if (!('config' in parsed)) return;
  const { cloudHub, cloudStream } = parsed.config.modules;
  assert.is(cloudHub.https.port, 10_002);
  assert.is(cloudHub.websocket.port, 10_000);
  assert.is(cloudHub.keepaliveInterval, 30);
  assert.is(cloudHub.writeTimeout, 30);
  assert.is(cloudHub.nodeLimit, 1000);
  assert.is(cloudHub.tokenRefreshDuration, 12);
  assert.is(cloudHub.edgeCertSigningDuration, 365);
  assert.equal([cloudStream.enable, cloudStream.streamPort, cloudStream.tunnelPort], [false, 10_003, 10_004]);
  assert.throws(() => {
    (cloudHub as { nodeLimit: number }).nodeLimit = 1;
  });
});

const add = (line: string) => (text: string) => text.replace('  cloudHub:\n', `  ${line}\n  cloudHub:\n`);
const addToHub = (line: string) => (text: string) =>
  text.replace('  cloudHub:\n', `  cloudHub:\n    ${line}\n`);
const wrong: [string, (text: string) => string, string][] = [
  ['an unknown key', (text) => `${text}surprise: 1\n`, 'surprise = 1: unknown key'],
  ['an unknown key of a module', addToHub('nodesLimit: 5'), 'modules.cloudHub.nodesLimit = 5: unknown key'],
  ['an unknown module', add('edgeHub: {}'), 'modules.edgeHub = {}: unknown key'],
  [
    'no address',
    (text) => text.replace(/advertiseAddress:\n *- 192\.0\.2\.1/, 'advertiseAddress: []'),
    'modules.cloudHub.advertiseAddress = []: want the addresses at which edges reach this machine',
  ],
  [
    'a limit of nothing',
    addToHub('nodeLimit: 0'),
    'modules.cloudHub.nodeLimit = 0: want a whole number of nodes, 1 or more',
  ],
  [
    'a port that is none',
    addToHub('websocket: { port: 65536 }'),
    'modules.cloudHub.websocket.port = 65536: want a port, 0 to 65535',
  ],
  [
    'a token that lives too long',
    addToHub('tokenRefreshDuration: 501'),
    'modules.cloudHub.tokenRefreshDuration = 501: want at most 500 hours',
  ],
  ['QUIC', addToHub('quic: { enable: true }'), 'modules.cloudHub.quic.enable = true: QUIC is not offered'],
  [
    'a module that is not offered',
    add('router: { enable: true }'),
    'modules.router.enable = true: router is not offered: set enable: false',
  ],
  [
    'a module that cannot be missing',
    add('syncController: { enable: false }'),
    'modules.syncController.enable = false: syncController cannot be switched off',
  ],
  [
    'a rate of nothing',
    add('deviceController: { statusWrites: { perSecond: 0 } }'),
    'modules.deviceController.statusWrites.perSecond = 0: want a whole number of writes, 1 or more',
  ],
  [
    'an API server outside the kubeconfig',
    (text) => text.replace('kubeAPIConfig:\n', 'kubeAPIConfig:\n  master: https://api:6443\n'),
    'kubeAPIConfig.master = "https://api:6443": name the API server in the kubeconfig, or leave both empty inside a cluster',
  ],
];
for (const [what, change, line] of wrong) {
  test(`names ${what} with its path and value`, () => assert.equal(faultsIn(change(minimal)), [line]));
}

test('names every fault, not only the first', () => {
  let text = minimal;
  for (const [, change] of wrong) text = change(text);
  assert.equal(faultsIn(text).sort(), wrong.map(([, , line]) => line).sort());
});

test('what KubeEdge’s own file holds is accepted where it is not used', () => {
  const text = [
    'commonConfig: { tunnelPort: 10351, metricsServer: { bindAddress: 127.0.0.1:9091 } }',
    'featureGates: { requireAuthorization: false }',
  ].join('\n');
  const modules = [
    'edgeController: { enable: true, nodeUpdateFrequency: 10, buffer: { updatePodStatus: 1024 } }',
    'dynamicController: { enable: false }',
    'iptablesManager: { enable: true, mode: internal }',
    'router: { address: 0.0.0.0, enable: false, port: 9443, restTimeout: 60 }',
  ].reduce((all, line) => add(line)(all), minimal);
  assert.equal(faultsIn(`${modules}${text}\n`), []);
});

test('a file is read, or named with every fault', () => {
  const directory = mkdtempSync(join(tmpdir(), 'cloudcore-config-'));
  try {
    const path = join(directory, 'cloudcore.yaml');
    writeFileSync(path, minimal);
    assert.equal(loadConfig(path).modules.cloudHub.advertiseAddress, ['192.0.2.1']);
    writeFileSync(path, `${minimal}surprise: 1\n`);
    assert.throws(() => loadConfig(path), /cloudcore\.yaml\n {2}surprise = 1: unknown key/);
  } finally {
    rmSync(directory, { recursive: true });
  }
  assert.throws(() => loadConfig('/nowhere/cloudcore.yaml'), /cannot be read.*\/nowhere\/cloudcore\.yaml/);
});

test.run();
