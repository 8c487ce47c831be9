import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { decode, double, fixed64, many, message, one, str } from '../../../runtime/wire/protobuf.ts';
import type { Route, Sample } from '../sample.ts';
import { formOf } from './http.ts';
import { lineOf } from './influxdb2.ts';
import { payloadOf } from './mqtt.ts';
import { insertInto, tableOf } from './mysql.ts';
import { encodeMetrics, numberOf } from './otel.ts';
import { memberOf } from './redis.ts';
import { insertOf } from './tdengine.ts';

const at = Date.UTC(2026, 0, 31, 9, 5, 7, 250);
const sample = (value: string, more: Partial<Route> = {}): Sample => ({
  route: { namespace: 'hall-1', device: 'oven', property: 'inner-temp', type: 'float', ...more },
  at,
  n: 1_000_007,
  value,
});

test('a form is the one that KubeEdge sends, and cannot be broken out of', () => {
  assert.is(formOf(sample('21.5')), 'inner-temp=21.5&time=2026-01-31 09:05:07');
  assert.is(
    formOf(sample('a&time=1 ä\n+%')),
    'inner-temp=a%26time%3D1 %C3%A4%0A%2B%25&time=2026-01-31 09:05:07',
  );
});

test('a publication is the one that KubeEdge sends', () => {
  assert.is(payloadOf(sample('21.5', { topic: 'a/b' })), 'time is 2026-01-31 09:05:07  a/b: 21.5');
});

test('a line of InfluxDB escapes what has a meaning, and tells values of one millisecond apart', () => {
  const more = { measurement: 'my,oven x', fieldKey: 'a=b', tag: { 'b c': 'x=y', a: '1', empty: '' } };
  assert.is(
    lineOf(sample('say "hi" \\', more)),
    'my\\,oven\\ x,a=1,b\\ c=x\\=y a\\=b="say \\"hi\\" \\\\" 1769850307250000007',
  );
});

test("a member of Redis is the JSON of KubeEdge's DataModel", () => {
  assert.is(
    memberOf(sample('21.5')),
    '{"DeviceName":"oven","PropertyName":"inner-temp","Namespace":"hall-1","Value":"21.5","Type":"float","TimeStamp":1769850307250}',
  );
});

test('a statement of MySQL holds nothing that a value could end', () => {
  const table = tableOf(sample('', { property: 'a`b' }).route);
  assert.is(table, '`hall-1/oven/a``b`');
  assert.is(
    insertInto(table, [sample("'); DROP"), sample('')]),
    "INSERT INTO `hall-1/oven/a``b` (ts, field) VALUES ('2026-01-31 09:05:07', _utf8mb4 0x27293b2044524f50), ('2026-01-31 09:05:07', '')",
  );
});

test('a statement of TDengine goes to the super table of the device', () => {
  assert.is(
    insertOf([sample("it's \\")]),
    "INSERT INTO `hall_1/oven/inner_temp` USING `hall_1/oven` TAGS ('inner_temp') VALUES ('2026-01-31T09:05:07.250Z', 'hall-1/oven', 'inner-temp', 'it\\'s \\\\', 'float')",
  );
});

test('metrics are numbers: true and false are, a text is not', () => {
  assert.equal(['21.5', '-0', 'true', 'false', 'on', '', '1e3'].map(numberOf), [
    21.5,
    -0,
    1,
    0,
    undefined,
    undefined,
    1000,
  ]);
});

test('metrics are one resource for a device, one gauge for a property, and 0 is a number', () => {
  const Point = message({ at: fixed64(3), value: double(4) });
  const Metric = message({ name: str(1), gauge: one(5, message({ points: many(1, Point) })) });
  const Scoped = message({ metrics: many(2, Metric) });
  const Request = message({ resources: many(1, message({ scopes: many(2, Scoped) })) });
  const bytes = encodeMetrics([
    sample('0'),
    sample('1.5'),
    sample('2', { property: 'p' }),
    sample('3', { device: 'd' }),
  ]);
  const { resources } = decode(Request, bytes);
  const found = resources.map(({ scopes }) =>
    scopes.flatMap(({ metrics }) =>
      metrics.map(({ name, gauge }) => [name, gauge?.points.map((point) => [point.at, point.value])]),
    ),
  );
  const time = 1_769_850_307_250_000_000n;
  assert.equal(found, [
    [
      [
        'inner-temp',
        [
          [time, 0],
          [time, 1.5],
        ],
      ],
      ['p', [[time, 2]]],
    ],
    [['inner-temp', [[time, 3]]]],
  ]);
});

test.run();
