import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import * as v from 'valibot';
import { pushConfig } from './config.ts';
import { credentialsFor } from './credentials.ts';
import type { Target } from './target.ts';

const test = suite<{ dir: string }>('how targets are logged in to');
test.before.each((context) => {
  context.dir = mkdtempSync(join(tmpdir(), 'push-'));
});
test.after.each(({ dir }) => rmSync(dir, { recursive: true }));

const environment = { TOKEN: 't', USERNAME: 'u', PASSWORD: 'p' };
const mysql: Target = { method: 'mysql', addr: 'db:3306', database: 'd', userName: 'edge' };
const all: [Target, string, string, string][] = [
  [mysql, '', 'p', ''],
  [{ method: 'redis', addr: 'db:6379', db: 0 }, '', 'p', ''],
  [{ method: 'tdengine', addr: 'db:6041', dbName: 'd' }, 'u', 'p', ''],
  [{ method: 'influxdb2', url: 'http://db', org: 'o', bucket: 'b' }, '', '', 't'],
  [{ method: 'http', url: 'http://db', timeout: 5 }, '', '', ''],
  [{ method: 'mqtt', address: 'tcp://b:1883' }, '', '', ''],
  [{ method: 'otel', url: 'http://c:4318' }, '', '', ''],
];
for (const [target, userName, password, token] of all)
  test(`${target.method} gets of the environment what KubeEdge's mapper reads`, () => {
    assert.equal(credentialsFor(target, [], environment), { userName, password, token, ca: undefined });
  });

test('what the configuration says of a target comes before the environment', ({ dir }) => {
  const passwordFile = join(dir, 'password');
  writeFileSync(passwordFile, "it's\r\n");
  const { credentials } = v.parse(pushConfig, {
    credentials: [
      { method: 'redis', passwordFile },
      { method: 'mysql', address: 'other:3306' },
      { method: 'mysql', address: 'db:3306', userName: 'me', passwordFile },
    ],
  });
  const found = credentialsFor(mysql, credentials, environment);
  assert.equal(found, { userName: 'me', password: "it's", token: '', ca: undefined });
});

test('a file that cannot be read is named', ({ dir }) => {
  const credentials = v.parse(pushConfig, {
    credentials: [{ method: 'mysql', passwordFile: join(dir, 'none') }],
  }).credentials;
  assert.throws(() => credentialsFor(mysql, credentials, {}), /modules.push.credentials: ENOENT.*none/);
});

test.run();
