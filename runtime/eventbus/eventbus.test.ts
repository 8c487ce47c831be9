import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { silentLogger } from '../core/log.ts';
import type { MessageDraft } from '../core/message.ts';
import { EventBus, type LocalBroker } from './eventbus.ts';
import { busFilters } from './topics.ts';

type Handler = Parameters<LocalBroker['subscribe']>[1];
type Context = {
  handlers: Map<string, Handler>;
  published: Parameters<LocalBroker['publish']>[0][];
  kept: Set<string>;
  asked: unknown[];
  uploads: [string | null, MessageDraft][];
  bus: EventBus;
  make: () => EventBus;
};
const test = suite<Context>('eventbus');

test.before.each(async (context) => {
  const handlers: Context['handlers'] = new Map();
  const published: Context['published'] = [];
  const kept = new Set<string>();
  const asked: unknown[] = [];
  const uploads: Context['uploads'] = [];
  const make = (): EventBus =>
    new EventBus({
      broker: {
        publish: (message) => published.push(message),
        subscribe: (filter, handler) => {
          assert.not(handlers.has(filter), `${filter} is subscribed once`);
          handlers.set(filter, handler);
          return () => handlers.delete(filter);
        },
      },
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
        offer: (draft) => uploads.push(['offered', draft]),
      },
      log: silentLogger,
    });
  const bus = make();
  await bus.start();
  Object.assign(context, { handlers, published, kept, asked, uploads, bus, make });
});

const arrive = (
  handlers: Context['handlers'],
  filter: string,
  topic: string,
  payload: string,
  qos: 0 | 1 = 1,
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

test('what was published with QoS 0 is offered and not kept', async ({ handlers, uploads }) => {
  await arrive(handlers, '+/user/#', 'site/user/level', '7', 0);
  assert.is(uploads[0]?.[0], 'offered');
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

test.run();
