import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { EdgeError } from '../core/errors.ts';
import { closeServer, listen } from './listen.ts';

const failure = (work: Promise<void>): Promise<unknown> =>
  work.catch((error: unknown) => (error instanceof EdgeError ? [error.code, error.message] : error));

test('an address that is taken, and one that is not of this machine, are told apart', async () => {
  const first = createServer();
  await listen(first, 'console', '127.0.0.1', 0);
  const { port } = first.address() as AddressInfo;
  assert.equal(await failure(listen(createServer(), 'console', '127.0.0.1', port)), [
    'PORT_TAKEN',
    `the address is in use by another program: console 127.0.0.1:${port}`,
  ]);
  // 192.0.2.0/24 is for documentation: no machine has it [RFC 5737].
  assert.equal(await failure(listen(createServer(), 'console', '192.0.2.1', port)), [
    'PORT_UNUSABLE',
    `the address cannot be listened on: console 192.0.2.1:${port}`,
  ]);
  await closeServer(first);
  const next = createServer();
  await listen(next, 'console', '127.0.0.1', port);
  await closeServer(next);
});

test.run();
