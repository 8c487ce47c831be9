import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { memoryBrokerStore } from './memory-store.ts';
import { settled } from './test-store.ts';

const test = suite('memory store');

test('everything is safe as soon as it is said, and comes after what is under way', async () => {
  const store = memoryBrokerStore();
  const done: string[] = [];
  const kept = store.atCommit(() => {
    done.push('asked');
    return () => void done.push('written');
  });
  store.withCommit(() => void done.push('cursor'));
  store.lazy(() => void done.push('lazy'));
  assert.equal(done, ['lazy']);
  await kept;
  await settled();
  assert.equal(done.sort(), ['asked', 'cursor', 'lazy', 'written']);
  await store.atCommit(() => undefined);
});

test('work that fails is refused, not thrown', async () => {
  const store = memoryBrokerStore();
  const fail = (): void => {
    throw new Error('no');
  };
  for (const work of [store.durable(fail), store.atCommit(() => fail)]) {
    const outcome = await work.then(
      () => 'kept',
      (error: Error) => error.message,
    );
    assert.is(outcome, 'no');
  }
});

test.run();
