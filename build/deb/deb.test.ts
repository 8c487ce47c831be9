import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parseConfig } from '../../runtime/config/config.ts';

test('the configuration that a package brings is a good one', () => {
  const parsed = parseConfig(readFileSync('build/deb/files/edgecore.yaml', 'utf8'));
  assert.ok('config' in parsed);
  assert.is(parsed.config.modules.edgeHub.token, '');
});

test('the paths of the unit and of the configuration agree', () => {
  const unit = readFileSync('runtime/host/edgecore.service', 'utf8');
  const parsed = parseConfig(readFileSync('build/deb/files/edgecore.yaml', 'utf8'));
  assert.ok('config' in parsed);
  const { database, modules } = parsed.config;
  assert.match(unit, 'StateDirectory=kubeedge');
  assert.is(database.dataSource, '/var/lib/kubeedge/edgecore.db');
  assert.match(unit, 'ReadWritePaths=-/etc/kubeedge');
  assert.match(modules.edgeHub.tlsCertFile, /^\/etc\/kubeedge\//);
});

test.run();
