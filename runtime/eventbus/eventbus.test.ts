import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { silentLogger } from '../core/log.ts';
import type { MessageDraft } from '../core/message.ts';
import { type BusBroker, EventBus } from './eventbus.ts';
import { busFilters } from './topics.ts';

type Handler = Parameters<BusBroker['subscribe']>[1];
type Context = {
  handlers: Map<string, Handler>;
  published: Parameters<BusBroker['publish']>[0][];
  kept: Set<string>;
  asked: unknown[];
  uploads: [string | null, MessageDraft][];
  offers: MessageDraft[];
  bus: EventBus;
  make: (brokers?: BusBroker[]) => EventBus;
};
const test = suite<Context>('eventbus');

test.before.each(async (context) => {
  const handlers: Context['handlers'] = new Map();
  const published: Context['published'] = [];
  const kept = new Set<string>();
  const asked: unknown[] = [];
  const uploads: Context['uploads'] = [];
  const offers: MessageDraft[] = [];
  const broker: BusBroker = {
    publish: (message) => published.push(message),
    subscribe: (filter, handler) => {
      if (filter === 'a/#/b') throw new Error('no filter');
      assert.not(handlers.has(filter), `${filter} is subscribed once`);
      handlers.set(filter, handler);
      return () => handlers.delete(filter);
    },
  };
  const make = (brokers = [broker]): EventBus =>
    new EventBus({
      node: 'edge-1',
      brokers,
      qos: 1,
      retain: false,
      store: {
        durable: async (work) => work(),
        topics: { add: (t) => kept.add(t), list: () => [...kept], remove: (t) => kept.delete(t) },
      },
      twins: {
        handleDevice: async (...rest) => {
          asked.push(rest);
        },
        handleMembershipGet: (payload) => asked.push(['membership', payload]),
      },
      outbox: {
        put: async (...rest) => {
          uploads.push(rest);
        },
        offer: (draft) => offers.push(draft),
      },
      log: silentLogger,
    });
  const bus = make();
  await bus.start();
  Object.assign(context, { handlers, published, kept, asked, uploads, offers, bus, make });
});

const arrive = (
  handlers: Context['handlers'],
  filter: string,
  topic: string,
  payload: string,
  qos: 0 | 1 | 2 = 1,
) => handlers.get(filter)?.(topic, Buffer.from(payload), { qos });

test('it listens to its own topics, and lets them go when it stops', async ({ handlers, bus }) => {
  assert.equal([...handlers.keys()], [...busFilters]);
  await bus.stop();
  assert.is(handlers.size, 0);
});

test('topics of devices and nodes go to the twins', async ({ handlers, asked, uploads }) => {
  await arrive(handlers, '$hw/events/device/+/+/twin/+', '$hw/events/device/ns/plc/twin/update', '{}');
  await arrive(handlers, '$hw/events/node/+/membership/get', '$hw/events/node/edge-1/membership/get', '');
  assert.equal(asked, [
    ['ns/plc', 'twin/update', '{}'],
    ['membership', ''],
  ]);
  assert.equal(uploads, []);
});

test('everything else goes to the rules of the cloud, each message on its own', async ({
  handlers,
  uploads,
}) => {
  await arrive(handlers, '+/user/#', 'site/user/alarm', 'on');
  assert.equal(uploads, [
    [null, { source: 'bus', group: 'user', operation: 'upload', resource: 'site/user/alarm', content: 'on' }],
  ]);
});

test('a message counts as taken when it is kept, not before', async ({ handlers, uploads }) => {
  const taken = arrive(handlers, '+/user/#', 'site/user/alarm', 'on');
  assert.ok(taken instanceof Promise);
  await taken;
  assert.is(uploads.length, 1);
});

test('what a rule wants is listened to, also after a restart', async ({ bus, handlers, kept, make }) => {
  bus.subscribe('default/alarm');
  bus.subscribe('default/alarm');
  assert.ok(handlers.has('default/alarm'));
  assert.equal([...kept], ['default/alarm']);
  await bus.stop();
  await make().start();
  assert.ok(handlers.has('default/alarm'));
});

test('what a rule no longer wants is let go, but not the bus’s own topics', ({ bus, handlers, kept }) => {
  bus.subscribe('default/alarm');
  bus.unsubscribe('default/alarm');
  bus.unsubscribe('+/user/#');
  bus.unsubscribe('never/asked');
  assert.equal([handlers.has('default/alarm'), kept.size], [false, 0]);
  assert.ok(handlers.has('+/user/#'));
});

test('payloads of this node are JSON, those of rules go as they came; neither is retained', ({
  bus,
  published,
}) => {
  bus.publish('a', { x: 'ä' });
  bus.deliver('b', 'ä');
  assert.equal(
    published.map(({ topic, payload, qos, retain }) => [topic, payload.toString(), qos, retain]),
    [
      ['a', '{"x":"ä"}', 1, false],
      ['b', 'ä', 1, false],
    ],
  );
});

test('QoS 0 goes to the cloud without touching the disk', async ({ handlers, uploads, offers }) => {
  await arrive(handlers, '+/user/#', 'site/user/alarm', 'on', 0);
  assert.equal(uploads, []);
  assert.equal(
    offers.map(({ resource, content }) => [resource, content]),
    [['site/user/alarm', 'on']],
  );
});

test('a rule’s topic that lies within another filter counts once', async ({ bus, handlers, uploads }) => {
  bus.subscribe('site/user/alarm');
  await arrive(handlers, '+/user/#', 'site/user/alarm', 'on');
  await arrive(handlers, 'site/user/alarm', 'site/user/alarm', 'on');
  assert.is(uploads.length, 1);
});

test('what is no filter is neither listened to nor kept, and what cannot be published does no harm', async ({
  bus,
  make,
  handlers,
  kept,
  published,
}) => {
  bus.subscribe('a/#/b');
  assert.equal([...kept], []);
  kept.add('a/#/b');
  await bus.stop();
  const broken = make([
    {
      publish: () => {
        throw new Error('no topic');
      },
      subscribe: (filter, handler) => {
        handlers.set(filter, handler);
        return () => handlers.delete(filter);
      },
    },
  ]);
  await broken.start();
  broken.deliver('a/#', 'x');
  assert.equal(published, []);
});

test('with two brokers both are published to and listened to', async ({ bus, make }) => {
  await bus.stop();
  const log: string[] = [];
  const broker = (name: string): BusBroker => ({
    publish: ({ topic }) => log.push(`${name} ${topic}`),
    subscribe: (filter) => {
      log.push(`${name} + ${filter}`);
      return () => log.push(`${name} - ${filter}`);
    },
  });
  const both = make([broker('in'), broker('ex')]);
  await both.start();
  log.length = 0;
  both.subscribe('default/a');
  both.publish('t', 1);
  both.unsubscribe('default/a');
  assert.equal(log, ['in + default/a', 'ex + default/a', 'in t', 'ex t', 'in - default/a', 'ex - default/a']);
});

test('the answer to a question for authorisations goes to the node’s topic', ({ bus, published }) => {
  bus.authInfo('{"a":1}');
  assert.is(published[0]?.topic, '$hw/events/node/edge-1/authInfo/get/result');
  assert.is(published[0]?.payload.toString(), '{"a":1}');
});

test('what a broker cannot say is taken for heard', ({ make }) => {
  const broker = { publish: () => {}, subscribe: () => () => {} };
  assert.ok(make([broker]).hears('t'));
  assert.not(make([{ ...broker, hears: () => false }]).hears('t'));
  assert.ok(make([{ ...broker, hears: () => false }, broker]).hears('t'));
});

test.run();
