import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { faultLine } from '../core/config-faults.ts';
import { parseRule } from './parse-rule.ts';
import { ruleObject, ruleOf, say, temperature } from './test-rules.ts';

const over70 = { ...temperature, above: 70 };
const good = { when: { all: [over70] }, do: say('out') };

test('a rule with everything is understood', () => {
  const rule = ruleOf({
    when: {
      any: [
        { ...over70, hysteresis: 5 },
        { topic: 'a/b', path: 'state.open', equals: true },
      ],
    },
    for: '1.5s',
    every: '10m',
    do: [{ write: { device: 'hall/lamp', property: 'on', value: true } }],
    otherwise: [{ http: { url: 'https://example/x', body: '{{value:json}}', timeout: '2s', durable: true } }],
  });
  assert.equal(
    [rule.id, rule.match, rule.holdFor, rule.every, rule.trigger],
    ['default/r', 'any', 1500, 600_000, 'edge'],
  );
  assert.equal(rule.conditions[0], {
    input: { kind: 'property', device: 'default/plc', property: 'temperature' },
    test: { kind: 'above', limit: 70, clear: 65 },
  });
  assert.equal(rule.conditions[1], {
    input: { kind: 'topic', topic: 'a/b', path: ['state', 'open'] },
    test: { kind: 'equals', value: 'true' },
  });
  assert.equal(rule.do[0], { kind: 'write', device: 'hall/lamp', property: 'on', value: ['true'] });
  const [http] = rule.otherwise;
  assert.ok(http?.kind === 'http' && http.durable && http.timeout === 2000 && http.method === 'POST');
});

test('only what matters makes it another rule', () => {
  const print = (metadata: object, spec: object = good): string => {
    const rule = parseRule(ruleObject('r', spec, metadata));
    return 'faults' in rule ? '' : rule.fingerprint;
  };
  const one = print({});
  assert.is(print({ resourceVersion: '7', labels: { a: 'b' } }), one);
  assert.is.not(print({ annotations: { 'rules.edgecore.io/reset': '1' } }), one);
  assert.is.not(print({}, { ...good, every: '1s' }), one);
});

/** What is changed of a good spec, and what is said of it. */
const refused: [object, ...RegExp[]][] = [
  [{ when: undefined }, /^spec\.when: is missing/],
  [{ when: {} }, /^spec\.when: want either all or any/],
  [{ when: { all: [over70], any: [over70] } }, /^spec\.when: want either all or any/],
  [{ when: { all: [] } }, /^spec\.when\.all = \[\]: want one condition or more/],
  [{ when: { all: [{ ...temperature, above: '70' }] } }, /^spec\.when\.all\.0\.above = "70": want number/],
  [{ when: { all: [temperature] } }, /^spec\.when\.all\.0: want one of above, below, equals/],
  [{ when: { all: [{ ...over70, below: 5 }] } }, /^spec\.when\.all\.0: want one of above/],
  [
    { when: { all: [{ device: 'plc', above: 7 }] } },
    /^spec\.when\.all\.0: want either device and property, or topic/,
  ],
  [{ when: { all: [{ ...over70, topic: 'x' }] } }, /^spec\.when\.all\.0: want either device/],
  [{ when: { all: [{ topic: 'a/+', above: 7 }] } }, /^spec\.when\.all\.0\.topic = "a\/\+": want one topic/],
  [{ when: { all: [{ ...over70, path: 'x' }] } }, /^spec\.when\.all\.0\.path: want none without topic/],
  [
    { when: { all: [{ topic: 'a', path: 'x y', above: 7 }] } },
    /^spec\.when\.all\.0\.path = "x y": .*want a path/,
  ],
  [
    { when: { all: [{ ...temperature, equals: 1, hysteresis: 1 }] } },
    /hysteresis: want none without above or below/,
  ],
  [{ when: { all: [{ ...temperature, noValueFor: '60' }] } }, /noValueFor = "60": want a time such as/],
  [{ when: { all: [{ ...temperature, noValueFor: '1ms' }] } }, /noValueFor: want 100ms or more/],
  [
    { when: { all: [{ ...over70, device: 'a/b/c' }] } },
    /^spec\.when\.all\.0\.device = "a\/b\/c": want NAME or/,
  ],
  [
    { when: { all: [{ ...over70, abvoe: 7 }] } },
    /abvoe = 7: unknown key: want one of device, property, topic/,
  ],
  [
    { when: { all: [{ ...temperature, changes: true }] }, for: '3s' },
    /^spec\.for: want none with a condition that says changes/,
  ],
  [
    { when: { all: [{ ...temperature, changes: true }] }, trigger: 'level', every: '1s' },
    /^spec\.trigger: want edge/,
  ],
  [
    { when: { all: [{ ...temperature, changes: true }] }, otherwise: say('x') },
    /^spec\.otherwise: want none/,
  ],
  [{ trigger: 'level' }, /^spec\.every: want 100ms or more with trigger level/],
  [{ trigger: 'both' }, /^spec\.trigger = "both": want \("edge" \| "level"\)/],
  [{ for: '900h' }, /^spec\.for = "900h": want a week/],
  [{ do: [] }, /^spec\.do = \[\]: want one action or more/],
  [{ do: [{}] }, /^spec\.do\.0: want one of write, publish, http/],
  [{ do: [{ write: { device: 'plc', property: 'x' } }] }, /^spec\.do\.0\.write\.value: is missing/],
  [
    { do: [{ write: { device: 'plc', property: '$state', value: 1 } }] },
    /write\.property = "\$state": want a property/,
  ],
  [
    { do: [{ publish: { topic: 'a', payload: '{{vlaue}}' } }] },
    /payload = "\{\{vlaue\}\}": want \{\{value\}\}, /,
  ],
  [{ do: [{ publish: { topic: 'a', payload: '{{value.2}}' } }] }, /\{\{value\.1\}\} to \{\{value\.1\}\}/],
  [{ do: [{ publish: { topic: 'a', qos: 2 } }] }, /publish\.qos = 2: want/],
  [{ do: [{ http: { url: 'ftp://x' } }] }, /http\.url = "ftp:\/\/x": want http:\/\/HOST/],
  [{ do: [{ http: { url: 'http://x', headers: { 'a b': '1' } } }] }, /want the name of an HTTP header/],
  [{ do: [{ http: { url: 'http://x', headers: { a: '1\r\nb: 2' } } }] }, /want printable ASCII/],
  [{ do: [{ http: { url: 'http://x', timeout: '2m' } }] }, /timeout = "2m": want 100ms to 60s/],
  [{ every: 5, for: 6 }, /^spec\.for = 6: want a time/, /^spec\.every = 5: want a time/],
];
for (const [change, ...wanted] of refused) {
  test(`${JSON.stringify(change)} is refused by field and rule`, () => {
    const rule = parseRule(ruleObject('r', { ...good, ...change }));
    assert.ok('faults' in rule);
    const lines = rule.faults.map(faultLine);
    for (const pattern of wanted)
      assert.ok(
        lines.some((line) => pattern.test(line)),
        lines.join('\n'),
      );
  });
}

for (const raw of [undefined, null, 5, 'x', [], {}, { kind: 'Pod' }]) {
  test(`${JSON.stringify(raw)} is no rule`, () => assert.ok('faults' in parseRule(raw)));
}

test.run();
