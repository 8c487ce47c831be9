import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { defaultBrokerLimits } from './config.ts';
import { type Message, makeMessage } from './message.ts';
import { Retained } from './retained.ts';
import { settled, TestStore } from './test-store.ts';

type Context = {
  store: TestStore;
  retained: Retained;
  refused: string[];
  restart: (epoch?: number) => Retained;
};
const test = suite<Context>('retained');

const EPOCH = 1_700_000_000_000;
const limits = { ...defaultBrokerLimits, retainedCount: 3 };

test.before.each((context) => {
  context.store = new TestStore();
  context.refused = [];
  const refuse = (limit: string): void => void context.refused.push(limit);
  context.retained = new Retained({ store: context.store, limits, refuse, epoch: () => EPOCH });
  context.restart = (epoch = EPOCH) => {
    context.store = new TestStore(context.store);
    const retained = new Retained({ store: context.store, limits, refuse, epoch: () => epoch });
    retained.load();
    return retained;
  };
});

const message = (topic: string, payload: string, qos: 0 | 1 | 2 = 1, more: Partial<Message> = {}): Message =>
  makeMessage({ topic, payload: Buffer.from(payload), qos, retain: true, ...more });
const contents = (retained: Retained, now = 0): string[] =>
  [...retained.matching(['#'], now)].map(({ topic, payload }) => `${topic}=${payload}`);

test('the last message of a topic is there after a kill, once it was said to be', async ({
  store,
  retained,
  restart,
}) => {
  let isSafe = false;
  void retained.keep(message('t', '1'));
  void retained.keep(message('t', '2'))?.then(() => {
    isSafe = true;
  });
  await settled();
  assert.is(isSafe, false);
  await store.commit();
  assert.is(isSafe, true);
  assert.is(store.count('putRetained'), 1, 'written once');
  assert.equal(contents(restart()), ['t=2']);
});

test('an empty message clears the topic on disk too', async ({ store, retained, restart }) => {
  void retained.keep(message('a', '1'));
  void retained.keep(message('b', '1'));
  await store.commit();
  void retained.keep(message('a', '', 1));
  assert.is(retained.keep(message('b', '', 0)), undefined);
  assert.is(retained.keep(message('none', '', 1)), undefined);
  await store.commit();
  assert.equal(contents(restart()), []);
});

test('QoS 0 is written with the next commit that comes', async ({ store, retained, restart }) => {
  for (let n = 0; n < 5; n++) assert.is(retained.keep(message('t', `${n}`, 0)), undefined);
  assert.is(store.count(), 0);
  await store.commit();
  assert.is(store.count('putRetained'), 1);
  void retained.keep(message('t', 'last', 0));
  await store.commit();
  assert.equal(contents(restart()), ['t=last']);
});

test('what the disk refuses is told, and written with a later commit all the same', async ({
  store,
  retained,
  restart,
}) => {
  const refused = retained.keep(message('one', '1'))?.catch((error: Error) => error.message);
  void retained.keep(message('zero', '1', 0));
  await store.refuse();
  assert.is(await refused, 'disk full');
  await store.commit();
  assert.equal(contents(restart()).sort(), ['one=1', 'zero=1']);
});

test('a topic that is one too many is refused, a known one is not', async ({ store, retained, refused }) => {
  for (const topic of ['a', 'b', 'c']) void retained.keep(message(topic, '1'));
  assert.is(retained.keep(message('d', '1', 0)), undefined);
  assert.equal(refused, ['retainedCount']);
  void retained.keep(message('a', '2'));
  await store.commit();
  assert.equal(contents(retained).sort(), ['a=2', 'b=1', 'c=1']);
});

test('an expired one is gone, also over a restart', async ({ store, retained, restart }) => {
  void retained.keep(message('t', '1', 1, { expiresAt: 5000 }));
  await store.commit();
  assert.equal(contents(retained, 4999), ['t=1']);
  const next = restart(EPOCH + 4000);
  assert.equal(contents(next, 999), ['t=1']);
  assert.equal(contents(next, 1000), []);
  await store.commit();
});

test.run();
