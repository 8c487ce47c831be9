import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Metrics } from './metrics.ts';

test('figures are printed as Prometheus reads them', () => {
  const metrics = new Metrics();
  const sent = metrics.counter('edgecore_sent_total', 'Messages sent.');
  sent.add();
  sent.add(4);
  let level = 2;
  metrics.gauge('edgecore_level', 'How full.', () => level);
  level = 7;
  assert.is(
    metrics.render(),
    '# HELP edgecore_sent_total Messages sent.\n# TYPE edgecore_sent_total counter\nedgecore_sent_total 5\n' +
      '# HELP edgecore_level How full.\n# TYPE edgecore_level gauge\nedgecore_level 7\n',
  );
});

test('one name with several labels is one family', () => {
  const metrics = new Metrics();
  const a = metrics.counter('x_total', 'X.', { port: 'a' });
  const b = metrics.counter('x_total', 'X.', { port: 'b', mode: 'rtu' });
  a.add(1);
  b.add(2);
  assert.is(
    metrics.render(),
    '# HELP x_total X.\n# TYPE x_total counter\nx_total{port="a"} 1\nx_total{port="b",mode="rtu"} 2\n',
  );
});

test('label values are escaped', () => {
  const metrics = new Metrics();
  metrics.gauge('x', 'X.', () => 1, { path: 'a"b\\c\nd' });
  assert.match(metrics.render(), 'x{path="a\\"b\\\\c\\nd"} 1\n');
});

test.run();
