import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { AskedWrites } from './asked-writes.ts';

test('each is answered by its number, once', async () => {
  const writes = new AskedWrites();
  const asked: number[] = [];
  const [first, second] = [1, 2].map(() => writes.ask((number) => asked.push(number)));
  writes.answered(asked[1] ?? 0, 'no');
  writes.answered(asked[1] ?? 0);
  writes.answered(99);
  writes.answered(asked[0] ?? 0);
  assert.equal([await first, await second], [undefined, 'no']);
});

test('a worker that ends answers all that wait, and all that come', async () => {
  const writes = new AskedWrites();
  const waiting = writes.ask(() => {});
  writes.end('it ended');
  assert.is(await waiting, 'it ended');
  assert.is(await writes.ask(() => assert.unreachable()), 'it ended');
});

test('there are only so many', async () => {
  const writes = new AskedWrites();
  const outcomes = Array.from({ length: 65 }, () => writes.ask(() => {}));
  assert.match(String(await outcomes[64]), /64 writes wait/);
  writes.end('');
  await Promise.all(outcomes);
});

test.run();
