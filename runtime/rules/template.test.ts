import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { fill, parseTemplate, type TemplateValues } from './template.ts';

const values: TemplateValues = {
  value: '71.5',
  values: ['71.5', 'say "hi"'],
  rule: 'default/hot',
  node: 'edge-1',
  device: 'default/plc',
  property: 'temperature',
  topic: '',
  now: Date.UTC(2026, 0, 2, 3, 4, 5, 678),
};

const rows: [string, string][] = [
  ['', ''],
  ['as it is {value}', 'as it is {value}'],
  ['{"t": {{value}}}', '{"t": 71.5}'],
  ['{{ value }}{{value.1}}', '71.571.5'],
  ['{{value.2}}', 'say "hi"'],
  ['{"a":{{value:json}},"b":{{value.2:json}}}', '{"a":71.5,"b":"say \\"hi\\""}'],
  ['{{rule}} {{node}} {{device}} {{property}} [{{topic}}]', 'default/hot edge-1 default/plc temperature []'],
  ['{{time}} {{timestamp}}', `2026-01-02T03:04:05.678Z ${values.now}`],
];
for (const [text, wanted] of rows) {
  test(`${JSON.stringify(text)} becomes ${JSON.stringify(wanted)}`, () => {
    const template = parseTemplate(text, 2);
    assert.ok(!('fault' in template));
    assert.is(fill(template, values), wanted);
  });
}

for (const [value, wanted] of [
  ['true', 'true'],
  ['007', '"007"'],
  ['1e999', '"1e999"'],
  ['', '""'],
  ['-0.5', '-0.5'],
]) {
  test(`${value} as JSON is ${wanted}`, () => {
    const template = parseTemplate('{{value:json}}', 1);
    assert.ok(!('fault' in template));
    const text = fill(template, { ...values, value: value ?? '' });
    assert.is(text, wanted);
    JSON.parse(text);
  });
}

for (const text of ['{{}}', '{{vlaue}}', '{{value.0}}', '{{value.3}}', '{{rule.1}}', '{{value:xml}}'])
  test(`${text} is refused`, () => assert.ok('fault' in parseTemplate(text, 2)));

test.run();
