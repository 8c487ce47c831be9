import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { isOriginAllowed } from './origin.ts';

type Row = [what: string, origin: string | undefined, host: string, allowed: string[], expected: boolean];

const rows: Row[] = [
  ['a program, which is no page', undefined, '127.0.0.1:10560', [], true],
  ['a page of this host by address', 'http://127.0.0.1:10560', '127.0.0.1:10560', [], true],
  ['a page of this host by IPv6 address', 'http://[::1]:10560', '[::1]:10560', [], true],
  ['a page of localhost', 'http://localhost:10560', 'LocalHost:10560', [], true],
  ['a page of another port', 'http://127.0.0.1:8080', '127.0.0.1:10560', [], false],
  ['a page from elsewhere', 'https://evil.example', '127.0.0.1:10560', [], false],
  ['a page whose name was pointed here', 'http://evil.example:10560', 'evil.example:10560', [], false],
  [
    'a page whose name begins like an address',
    'http://127.0.0.1.evil.example',
    '127.0.0.1.evil.example',
    [],
    false,
  ],
  ['a page of a file or a sandbox', 'null', '127.0.0.1:10560', [], false],
  ['no origin at all', '', '', [], false],
  ['a listed page', 'https://HMI.example', '127.0.0.1:10560', ['https://hmi.example'], true],
  [
    'a listed page by another scheme',
    'http://hmi.example',
    '127.0.0.1:10560',
    ['https://hmi.example'],
    false,
  ],
  ['every page when all may', 'null', '127.0.0.1:10560', ['*'], true],
];

for (const [what, origin, host, allowed, expected] of rows) {
  test(`${what} ${expected ? 'may' : 'may not'} connect`, () => {
    assert.is(isOriginAllowed(origin, host, allowed), expected);
  });
}

test.run();
