import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Servers } from './servers.ts';

test('each failure makes the next one current, and a round is over when all have failed', () => {
  const servers = new Servers(['a', 'b', 'c', 'a']);
  assert.is(servers.count, 3);
  const tried: unknown[] = [];
  for (let i = 0; i < 6; i++) tried.push(servers.current, servers.failed());
  assert.equal(tried, ['a', false, 'b', false, 'c', true, 'a', false, 'b', false, 'c', true]);
});

test('the one that works is kept to, and has a whole round after it', () => {
  const servers = new Servers(['a', 'b']);
  servers.failed();
  servers.worked();
  assert.is(servers.current, 'b');
  assert.not(servers.failed());
  assert.is(servers.current, 'a');
  assert.ok(servers.failed());
  assert.is(servers.current, 'b');
});

test('a single one is a round by itself', () => {
  const servers = new Servers(['a']);
  assert.ok(servers.failed());
  assert.is(servers.current, 'a');
});

test.run();
