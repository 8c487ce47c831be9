import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import * as v from 'valibot';
import { FakeClock } from '../core/fake-clock.ts';
import type { KubeObject } from '../core/k8s.ts';
import { silentLogger } from '../core/log.ts';
import { Metrics } from '../core/metrics.ts';
import { rulesConfig } from './config.ts';
import { Rules } from './rules.ts';
import { MemoryStore, PLC } from './test-host.ts';
import { ruleObject, say, temperature } from './test-rules.ts';

type Context = {
  clock: FakeClock;
  metrics: Metrics;
  objects: KubeObject[];
  published: string[];
  make: (config?: object) => Rules;
  rules: Rules;
};
const test = suite<Context>('rules');

test.before.each((context) => {
  const clock = new FakeClock();
  const metrics = new Metrics();
  const objects: KubeObject[] = [];
  const published: string[] = [];
  context.make = (config = {}) => {
    context.rules = new Rules({
      config: v.parse(rulesConfig, config),
      node: 'edge-1',
      clock,
      log: silentLogger,
      metrics,
      random: () => 0.5,
      store: new MemoryStore(),
      outbox: { put: async () => {} },
      brokers: () => [
        {
          publish: ({ topic, payload }) => published.push(`${topic} ${payload}`),
          subscribe: () => () => {},
        },
      ],
      undesirable: () => undefined,
      desire: async () => {},
      current: () => undefined,
      alarm: () => {},
      objects: () => objects,
    });
    return context.rules;
  };
  Object.assign(context, { clock, metrics, objects, published });
});
test.after.each(({ rules }) => rules.stop());

const hot = ruleObject('hot', { when: { all: [{ ...temperature, above: 70 }] }, do: say('hot') });
const changes = (value: string) => [
  { name: 'temperature', last: undefined, current: { actual: { value } } },
  { name: 'other', last: undefined, current: {} },
];
/** Its code comes from the disk. */
const loaded = async (rules: Rules): Promise<void> => {
  const end = performance.now() + 10_000;
  while (rules.list().length === 0) {
    assert.ok(performance.now() < end, 'not within 10 s');
    await new Promise((done) => setTimeout(done, 2));
  }
};

test('without a rule nothing is loaded, and values pass by', async ({ make, clock, metrics }) => {
  const rules = make();
  await rules.start();
  rules.heard(PLC, changes('71'));
  rules.heardState(PLC, 'offline');
  rules.remove('default', 'hot');
  assert.equal([rules.list(), clock.pending], [[], 0]);
  assert.match(metrics.render(), /edgecore_rules\{state="active"\} 0/);
  assert.not.match(metrics.render(), /edgecore_rules_fired_total/);
});

test('a rule that comes is loaded, and hears what is reported', async ({
  make,
  clock,
  published,
  metrics,
}) => {
  const rules = make();
  await rules.start();
  let told = 0;
  const end = rules.onChange(() => told++);
  rules.apply(hot);
  await loaded(rules);
  rules.heard(PLC, changes('71'));
  await clock.advance(0);
  assert.equal(published, ['hot 71']);
  assert.match(metrics.render(), /edgecore_rules\{state="active"\} 1/);
  assert.ok(told >= 2);
  end();
  rules.remove('default', 'hot');
  assert.equal(rules.list(), []);
});

test('what was kept is there from the start, and what goes before it is loaded has gone', async ({
  make,
  objects,
}) => {
  objects.push(hot);
  const rules = make();
  await rules.start();
  assert.equal(
    rules.list().map(({ id }) => id),
    ['default/hot'],
  );
  await rules.stop();
  objects.length = 0;
  const other = make();
  await other.start();
  other.apply(hot);
  other.remove('default', 'hot');
  await other.stop();
  assert.equal(other.list(), []);
});

test('a value that only came along with a change of the desired one is none', async ({
  make,
  clock,
  published,
}) => {
  const rules = make();
  await rules.start();
  rules.apply(hot);
  await loaded(rules);
  const actual = { value: '71' };
  rules.heard(PLC, [{ name: 'temperature', last: { actual }, current: { actual } }]);
  await clock.advance(0);
  assert.equal(published, []);
});

test('switched off it does nothing', async ({ make, objects, clock }) => {
  objects.push(hot);
  const rules = make({ enable: false });
  await rules.start();
  rules.apply(hot);
  await import('./rule-host.ts');
  await clock.advance(0);
  assert.equal(rules.list(), []);
});

test.run();
