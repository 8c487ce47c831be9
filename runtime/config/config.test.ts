import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { faultLine } from '../core/config-faults.ts';
import {
  blankToken,
  defaultConfigText,
  loadConfig,
  minConfigText,
  parseConfig,
  pluginsDirectory,
} from './config.ts';

const minimal = minConfigText();

function faultsIn(text: string): string[] {
  const parsed = parseConfig(text);
  return 'faults' in parsed ? parsed.faults.map(faultLine) : [];
}

function inDirectory(work: (path: string) => void): void {
  const directory = mkdtempSync(join(tmpdir(), 'edgecore-config-'));
  try {
    work(join(directory, 'edgecore.yaml'));
  } finally {
    rmSync(directory, { recursive: true });
  }
}

test('what --minconfig and --defaultconfig print is accepted', () => {
  assert.equal(faultsIn(minimal), []);
  assert.equal(faultsIn(defaultConfigText()), []);
});

test('mapper plugins lie beside the database, unless said otherwise', () => {
  const directoryIn = (text: string): string => {
    const parsed = parseConfig(text);
    assert.ok('config' in parsed);
    return pluginsDirectory(parsed.config);
  };
  assert.is(directoryIn(minimal), '/var/lib/kubeedge/mappers');
  assert.is(directoryIn(`${minimal}\ndatabase: { dataSource: /data/edge.db }`), '/data/mappers');
  assert.is(directoryIn(`${minimal}  mappers: { directory: /srv/mappers }`), '/srv/mappers');
});

test('defaults are KubeEdge’s', () => {
  const parsed = parseConfig(minimal);
  assert.ok('config' in parsed);
  const { modules, database } = parsed.config;
  assert.is(modules.edgeHub.heartbeat, 15);
  assert.is(database.dataSource, '/var/lib/kubeedge/edgecore.db');
  assert.is(modules.edged.tailoredKubeletConfig.readOnlyPort, 10_350);
  assert.throws(() => {
    (modules.edgeHub as { heartbeat: number }).heartbeat = 1;
  });
});

const wrong: [string, (text: string) => string, string][] = [
  ['an unknown key', (t) => `${t}surprise: 1\n`, 'surprise = 1: unknown key'],
  [
    'an unknown key inside a module',
    (t) => t.replace('modules:\n', 'modules:\n  eventBus: { mqttMod: 0 }\n'),
    'modules.eventBus.mqttMod = 0: unknown key',
  ],
  [
    'a wrong type',
    (t) => t.replace('edgeHub:\n', 'edgeHub:\n    heartbeat: often\n'),
    'modules.edgeHub.heartbeat = "often": want number',
  ],
  [
    'a rate of nothing',
    (t) => t.replace('modules:\n', 'modules:\n  deviceTwin: { cloudReport: { interval: -1 } }\n'),
    'modules.deviceTwin.cloudReport.interval = -1: want seconds, 0 or more',
  ],
  [
    'a wrong value',
    (t) => t.replace('cloud.example:10000', 'cloud.example'),
    'modules.edgeHub.websocket.server = "cloud.example": want HOST:PORT',
  ],
  ['a missing key', (t) => t.replace(/ {4}httpServer.*\n/, ''), 'modules.edgeHub.httpServer: is missing'],
  [
    'a module that is not offered',
    (t) => t.replace('modules:\n', 'modules:\n  serviceBus: { enable: true }\n'),
    'modules.serviceBus.enable = true: serviceBus is not offered: set enable: false',
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

test('what is no YAML is named by its line', () => {
  assert.match(faultsIn('a: 1\nb: [\n')[0] ?? '', /^line \d/);
});

test('an empty file is told what is missing', () => {
  assert.ok(faultsIn('').length >= 3);
});

test('a file that is not there is named', () => {
  assert.throws(() => loadConfig('/nowhere/edgecore.yaml'), /cannot be read.*\/nowhere\/edgecore\.yaml/);
});

test('blanking the token keeps comments and everything else', () => {
  inDirectory((path) => {
    writeFileSync(path, `# site 12\n${minimal}`);
    blankToken(path);
    const text = readFileSync(path, 'utf8');
    assert.match(text, /# site 12/);
    assert.is(loadConfig(path).modules.edgeHub.token, '');
    assert.is(loadConfig(path).modules.edgeHub.httpServer, 'https://cloud.example:10002');
  });
});

test.run();
