import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Pod } from '../core/pod.ts';
import { KubeletApi, type LogFile } from './kubelet-api.ts';

type Context = {
  dir: string;
  asked: unknown[];
  api: KubeletApi;
  get: (path: string) => Promise<[number, string]>;
};
const test = suite<Context>('kubelet-api');

const pod: Pod = { metadata: { name: 'web', namespace: 'default' }, spec: { containers: [] } };
const line = (n: number): string => `2026-01-01T00:00:0${n}Z stdout F line ${n}\n`;

test.before.each(async (context) => {
  const dir = mkdtempSync(join(tmpdir(), 'kubelet-api-'));
  const path = join(dir, '0.log');
  writeFileSync(path, line(1) + line(2) + line(3));
  const asked: unknown[] = [];
  const log = (...names: unknown[]): LogFile | { missing: string } => {
    asked.push(names);
    return names[2] === 'app' ? { path, ended: () => true } : { missing: 'there is no such container' };
  };
  const api = new KubeletApi({ pods: () => [pod], log });
  await api.start('127.0.0.1', 0);
  const get = (target: string): Promise<[number, string]> =>
    new Promise((resolve, reject) => {
      const call = request({ host: '127.0.0.1', port: api.port, path: target, agent: false }, (response) => {
        let body = '';
        response.on('data', (chunk) => {
          body += String(chunk);
        });
        response.on('end', () => resolve([response.statusCode ?? 0, body]));
      });
      call.on('error', reject);
      call.end();
    });
  Object.assign(context, { dir, asked, api, get });
});
test.after.each(async ({ api, dir }) => {
  await api.stop();
  rmSync(dir, { recursive: true });
});

test('healthz answers ok', async ({ get }) => assert.equal(await get('/healthz'), [200, 'ok']));

test('pods answers with a list as kubectl reads it', async ({ get }) => {
  const [status, body] = await get('/pods');
  assert.is(status, 200);
  assert.equal(JSON.parse(body), { kind: 'PodList', apiVersion: 'v1', metadata: {}, items: [pod] });
});

const logs: [string, string][] = [
  ['', 'line 1\nline 2\nline 3\n'],
  ['?tailLines=1', 'line 3\n'],
  ['?follow=true', 'line 1\nline 2\nline 3\n'],
  ['?tailLines=1&timestamps=true', '2026-01-01T00:00:03Z line 3\n'],
  ['?sinceTime=2026-01-01T00:00:02Z', 'line 2\nline 3\n'],
  ['?limitBytes=4', 'line'],
  ['?tailLines=nonsense&limitBytes=-5', 'line 1\nline 2\nline 3\n'],
];
for (const [query, wanted] of logs) {
  test(`containerLogs${query}`, async ({ get }) =>
    assert.equal(await get(`/containerLogs/default/web/app${query}`), [200, wanted]));
}

test('the run before is asked for by previous', async ({ get, asked }) => {
  await get('/containerLogs/default/web/app?previous=true');
  await get('/containerLogs/default/web/app');
  assert.equal(asked, [
    ['default', 'web', 'app', true],
    ['default', 'web', 'app', false],
  ]);
});

test('a container that is not here is said to be missing', async ({ get }) => {
  assert.equal(await get('/containerLogs/default/web/x'), [404, 'there is no such container']);
});

for (const path of ['/', '/exec/default/web/app', '/containerLogs/default/web', '/metrics']) {
  test(`${path} is not offered`, async ({ get }) => assert.is((await get(path))[0], 404));
}

test('a path that is badly escaped is refused, and the server goes on', async ({ get }) => {
  assert.is((await get('/containerLogs/%E0%A4%A/web/app'))[0], 500);
  assert.is((await get('/healthz'))[0], 200);
});

test.run();
