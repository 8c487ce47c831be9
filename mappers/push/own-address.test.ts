import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { isOwnAddress } from './own-address.ts';

const cases: [string, string, boolean][] = [
  ['tcp://127.0.0.1:1883', 'tcp://127.0.0.1:1883', true],
  ['mqtt://localhost:1883', 'tcp://127.0.0.1:1883', true],
  ['tcp://localhost', 'tcp://127.0.0.1:1883', true],
  ['tcp://[::1]:1883', 'tcp://0.0.0.0:1883', true],
  ['tcp://192.168.1.2:1883', 'tcp://192.168.1.2:1883', true],
  ['tcp://192.168.1.3:1883', 'tcp://192.168.1.2:1883', false],
  ['tcp://127.0.0.1:1884', 'tcp://127.0.0.1:1883', false],
  // Nothing of ours listens there.
  ['tcp://127.0.0.1:1883', 'tcp://192.168.1.2:1883', false],
  // A TLS listener of a name that a client checks.
  ['ssl://127.0.0.1:1883', 'tcp://127.0.0.1:1883', false],
];
for (const [address, own, is] of cases)
  test(`${address} is ${is ? '' : 'not '}the broker at ${own}`, () =>
    assert.is(isOwnAddress(address, own), is));

test.run();
