import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { TestNode } from './test-host.ts';
import { ruleObject, say, temperature } from './test-rules.ts';

const test = suite<{ node: TestNode }>('rules of a node');
test.before.each((context) => {
  context.node = new TestNode();
});
test.after.each(async ({ node }) => {
  await node.host.stop();
  assert.is(node.clock.pending, 0, 'no timer is left');
  assert.equal(node.subscriptions, [], 'no subscription is left');
});

const over70 = { ...temperature, above: 70 };
const switched = (value: boolean) => [{ write: { device: 'plc', property: 'switch', value } }];
const cooling = ruleObject('cooling', {
  when: { all: [{ ...over70, hysteresis: 5 }] },
  for: '3s',
  do: switched(true),
  otherwise: switched(false),
});

test('over 70 for 3 s switches on, under 65 off', async ({ node }) => {
  node.host.apply(cooling);
  await node.report('temperature', '71');
  assert.is(node.view('default/cooling')?.state, 'pending');
  await node.clock.advance(2999);
  assert.equal(node.done, []);
  await node.clock.advance(1);
  assert.equal(node.done, ['default/plc switch true']);
  assert.is(node.view('default/cooling')?.state, 'active');
  await node.report('temperature', '66');
  await node.report('temperature', '65');
  assert.equal(node.done, ['default/plc switch true', 'default/plc switch false']);
  assert.equal([node.view('default/cooling')?.state, node.view('default/cooling')?.fired], ['waiting', 1]);
});

test('after a restart it is still on, and goes off', async ({ node }) => {
  node.host.apply(cooling);
  await node.report('temperature', '71');
  await node.clock.advance(3000);
  node.done.length = 0;
  await node.restart(cooling);
  assert.equal([node.view('default/cooling')?.state, node.view('default/cooling')?.fired], ['active', 1]);
  await node.clock.advance(60_000);
  await node.report('temperature', '75');
  assert.equal(node.done, []);
  await node.report('temperature', '60');
  assert.equal(node.done, ['default/plc switch false']);
});

test('a rule that was changed or went while edgecore was down begins anew', async ({ node }) => {
  node.host.apply(cooling);
  await node.report('temperature', '71');
  await node.clock.advance(3000);
  await node.restart({ ...cooling, spec: { ...cooling.spec, for: '1s' } } as never);
  assert.equal([node.view('default/cooling')?.state, node.view('default/cooling')?.fired], ['waiting', 0]);
  await node.restart();
  assert.equal([...node.store.rows.values()], []);
});

test('what a property is when the rule comes counts', async ({ node }) => {
  node.current.set('default/plc temperature', '80');
  node.current.set('default/plc $state', 'offline');
  node.host.apply(cooling);
  const away = { device: 'plc', property: '$state', equals: 'offline' };
  node.host.apply(ruleObject('away', { when: { all: [away] }, do: say('away') }));
  await node.clock.advance(3000);
  assert.equal(node.done, ['away offline', 'default/plc switch true']);
});

test('a topic by its path, and an alarm that names what it saw', async ({ node }) => {
  const door = { topic: 'site/door', path: 'state.open', equals: true };
  const publish = { topic: 'alarm', payload: '{{rule}} {{topic}} {{value}} {{value.2}}', qos: 1 };
  node.host.apply(ruleObject('door', { when: { all: [door, over70] }, do: [{ publish }] }));
  await node.report('temperature', '71');
  node.publish('site/door', '{"state":{"open":false}}');
  node.publish('site/door', 'no json');
  node.publish('site/door', '{"state":{}}');
  node.publish('other', '{"state":{"open":true}}');
  await node.clock.advance(0);
  assert.equal(node.done, []);
  assert.is(node.view('default/door')?.lastError, 'site/door: the payload has nothing at the path');
  node.publish('site/door', '{"state":{"open":true}}');
  await node.clock.advance(0);
  assert.equal(node.done, ['alarm default/door site/door true 71']);
});

test('what is retained on its topics counts when a rule begins', async ({ node }) => {
  node.retained.set('site/door', '{"open":true}');
  node.retained.set('site/mode', 'night');
  const when = {
    all: [
      { topic: 'site/door', path: 'open', equals: true },
      { topic: 'site/mode', equals: 'night' },
    ],
  };
  node.host.apply(
    ruleObject('door', { when, do: [{ publish: { topic: 'alarm', payload: '{{value.2}}' } }] }),
  );
  await node.clock.advance(0);
  assert.equal(node.done, ['alarm night']);
});

test('a rule that changes lets go of what it listened to', async ({ node }) => {
  const on = (topic: string) => ruleObject('r', { when: { all: [{ topic, equals: 1 }] }, do: say('out') });
  node.host.apply(on('a'));
  node.host.apply(on('b'));
  assert.equal(node.subscriptions, ['b']);
  node.host.apply(on('b'));
  node.host.removeObject('default', 'r');
  assert.equal([node.subscriptions, node.host.list()], [[], []]);
});

test('a pair that plays ping-pong is stopped, with an alarm, and stays so until it is changed or reset', async ({
  node,
}) => {
  const toggle = (name: string, from: boolean, metadata = {}) =>
    ruleObject(
      name,
      { when: { all: [{ device: 'plc', property: 'switch', equals: from }] }, do: switched(!from) },
      metadata,
    );
  const [ping, pong] = [toggle('ping', false), toggle('pong', true)];
  node.host.apply(ping);
  node.host.apply(pong);
  await node.report('switch', 'false');
  await node.clock.advance(1000);
  assert.is(node.alarms.length, 1);
  assert.match(
    node.alarms[0] ?? '',
    /^default\/p[io]ng: it has set itself off over default\/p[io]ng more than 10 times in 60 s$/,
  );
  const count = node.done.length;
  assert.ok(count <= 23, `${count} writes`);
  await node.clock.advance(60_000);
  const stopped = node.host.list().filter(({ state }) => state === 'stopped');
  assert.is(stopped.length, 1);
  await node.restart(ping, pong);
  assert.is(node.host.list().filter(({ state }) => state === 'stopped').length, 1);
  await node.report('switch', 'true');
  await node.report('switch', 'false');
  assert.ok(node.done.length <= count + 1, 'a stopped rule does nothing');
  const [name = ''] = stopped.map(({ id }) => id.replace('default/', ''));
  node.host.apply(toggle(name, name === 'ping', { annotations: { 'rules.edgecore.io/reset': 'now' } }));
  assert.is(node.host.list().filter(({ state }) => state === 'stopped').length, 0);
});

test('a rule that publishes on its own topic is stopped', async ({ node }) => {
  const publish = { topic: 'echo', payload: '{{value}}x' };
  node.host.apply(
    ruleObject('echo', { when: { all: [{ topic: 'echo', changes: true }] }, do: [{ publish }] }),
  );
  node.publish('echo', 'a');
  node.publish('echo', 'b');
  await node.clock.advance(1000);
  assert.is(node.view('default/echo')?.state, 'stopped');
  assert.ok(node.done.length <= 12);
});

test('a slow pair is found, too', async ({ node }) => {
  const toggle = (name: string, from: boolean) => {
    const when = { all: [{ device: 'plc', property: 'switch', equals: from }] };
    return ruleObject(name, { when, for: '1s', do: switched(!from) });
  };
  node.host.apply(toggle('ping', false));
  node.host.apply(toggle('pong', true));
  await node.report('switch', 'false');
  await node.clock.advance(20_000);
  assert.is(node.alarms.length, 0);
  await node.clock.advance(5000);
  assert.is(node.alarms.length, 1);
});

test('a pair over topics is found', async ({ node }) => {
  const pass = (name: string, from: string, to: string) => {
    const when = { all: [{ topic: from, notEquals: '' }] };
    const publish = { topic: to, payload: '{{value}}' };
    return ruleObject(name, { when, trigger: 'level', every: '100ms', do: [{ publish }] });
  };
  node.host.apply(pass('there', 'a', 'b'));
  node.host.apply(pass('back', 'b', 'a'));
  node.publish('a', '1');
  await node.clock.advance(5000);
  assert.ok(node.host.list().some(({ state }) => state === 'stopped'));
});

test('a thermostat is no loop', async ({ node }) => {
  const cold = { ...temperature, below: 20, hysteresis: 1 };
  const spec = { when: { all: [cold] }, do: switched(true), otherwise: switched(false) };
  node.host.apply(ruleObject('heat', spec));
  for (let i = 0; i < 50; i++) await node.report('temperature', i % 2 ? '21.5' : '19');
  assert.equal([node.alarms, node.view('default/heat')?.fired], [[], 25]);
});

test('what cannot be written is the last error', async ({ node }) => {
  const write = (property: string, value: unknown, to = 'plc') =>
    ruleObject(`${to}-${property}`, {
      when: { all: [over70] },
      do: [{ write: { device: to, property, value } }],
    });
  for (const rule of [
    write('temperature', 5),
    write('switch', 5),
    write('nothing', 5),
    write('x', 5, 'other'),
  ])
    node.host.apply(rule);
  await node.report('temperature', '71');
  assert.equal(
    node.host.list().map(({ lastError }) => lastError),
    [
      'write: default/plc temperature "5": the property is ReadOnly',
      'write: default/plc switch "5": want true or false',
      'write: default/plc nothing "5": it has no such property',
      'write: default/other x "5": the device is not on this node',
    ],
  );
  assert.equal(node.done, []);
});

test('a refused rule does not run, nor what it was before, and says why', async ({ node }) => {
  node.host.apply({ ...cooling, metadata: { ...cooling.metadata, uid: 'u1', generation: 1 } } as never);
  node.host.apply(ruleObject('cooling', { ...cooling.spec, for: 'ever' }, { uid: 'u1', generation: 2 }));
  await node.report('temperature', '90');
  await node.clock.advance(5000);
  assert.equal(node.done, []);
  assert.is(node.view('default/cooling')?.state, 'refused');
  assert.equal(
    node.statuses.map(({ resource, content }) => ({ resource, content })),
    [
      {
        resource: 'default/localrulestatus/cooling',
        content: { uid: 'u1', observedGeneration: 1, accepted: true, state: 'running', fired: 0 },
      },
      {
        resource: 'default/localrulestatus/cooling',
        content: {
          uid: 'u1',
          observedGeneration: 2,
          accepted: false,
          state: 'refused',
          fired: 0,
          reason: 'spec.for = "ever": want a time such as 500ms, 30s, 5m or 1h',
        },
      },
    ],
  );
});

test('how often a rule acts is told once a minute', async ({ node }) => {
  node.host.apply(ruleObject('r', { when: { all: [over70] }, do: say('hot') }));
  for (let i = 0; i < 100; i++) {
    await node.report('temperature', i % 2 ? '60' : '80');
    await node.clock.advance(1000);
  }
  await node.clock.advance(60_000);
  assert.equal(
    node.statuses.map(({ content }) => (content as { fired: number }).fired),
    [0, 30, 50],
  );
});

test('more actions than the queue holds: the oldest give way, and that is counted', async ({ node }) => {
  node.host.apply(ruleObject('r', { when: { all: [{ ...temperature, changes: true }] }, do: say('out') }));
  for (let i = 0; i <= 1500; i++) node.host.heard('default/plc' as never, 'temperature', String(i));
  await node.clock.advance(1000);
  assert.is(node.done.length, 1000);
  assert.is(node.done.at(-1), 'out 1500');
  assert.match(node.metrics.render(), /edgecore_rules_actions_dropped_total 500/);
});

test.run();
