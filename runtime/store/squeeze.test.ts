import { randomBytes } from 'node:crypto';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { squeeze, unsqueeze } from './squeeze.ts';

const alike = Buffer.from('{"temp":21.5,"line":"line3-1","state":"running"}'.repeat(20));
const bodies: [string, Buffer, boolean][] = [
  ['nothing', Buffer.alloc(0), false],
  ['little', alike.subarray(0, 100), false],
  ['what is alike', alike, true],
  ['very much', Buffer.alloc(16 * 1024 + 1, 'x'), false],
  ['what is random', randomBytes(400), false],
];
for (const [what, body, isSmaller] of bodies) {
  test(`${what} comes back as it was`, () => {
    const row = squeeze(body);
    assert.is(row.length < body.length, isSmaller);
    assert.ok(Buffer.from(unsqueeze(row)).equals(body));
  });
}

test('a row that is no more what was written says so', () => {
  const row = Buffer.from(squeeze(alike));
  row.fill(0xff, 4);
  assert.throws(() => unsqueeze(row));
});

test.run();
