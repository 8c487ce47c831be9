import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as v from 'valibot';
import { faultLine, faultsOf } from './config-faults.ts';
import { parseConfigText } from './config-file.ts';

const schema = v.strictObject({
  hub: v.strictObject({
    port: v.pipe(v.number(), v.maxValue(9, 'want 9 or less')),
    token: v.optional(v.string(), ''),
    mqttPassword: v.optional(v.string(), ''),
  }),
});
const linesOf = (value: unknown): string[] => {
  const result = v.safeParse(schema, value);
  return result.success ? [] : faultsOf(result.issues).map(faultLine);
};

const rows: [string, unknown, string[]][] = [
  ['nothing wrong', { hub: { port: 5 } }, []],
  ['a wrong type', { hub: { port: 'x' } }, ['hub.port = "x": want number']],
  ['a wrong value, in the schema’s words', { hub: { port: 10 } }, ['hub.port = 10: want 9 or less']],
  ['a missing key', { hub: {} }, ['hub.port: is missing']],
  ['a missing part', {}, ['hub: is missing']],
  ['an unknown key', { hub: { port: 5, prot: 6 } }, ['hub.prot = 6: unknown key']],
  ['a long value', { hub: { port: 'x'.repeat(100) } }, [`hub.port = "${'x'.repeat(79)}…: want number`]],
  ['a token', { hub: { port: 5, token: 12_345 } }, ['hub.token = "…": want string']],
  ['a password', { hub: { port: 5, mqttPassword: 12_345 } }, ['hub.mqttPassword = "…": want string']],
  ['a mistyped password', { hub: { port: 5, mqttPasswd: 'pw' } }, ['hub.mqttPasswd = "…": unknown key']],
  ['a secret within', { hub: { port: { token: 'pw' } } }, ['hub.port = {"token":"…"}: want number']],
];
for (const [what, value, wanted] of rows) {
  test(`${what}: ${wanted.join(', ').slice(0, 60) || 'no fault'}`, () =>
    assert.equal(linesOf(value), wanted));
}

test('a key that is there twice is named by its line', () => {
  const parsed = parseConfigText(schema, 'hub:\n  port: 1\n  port: 2\n');
  assert.ok('faults' in parsed);
  assert.match(parsed.faults[0]?.path ?? '', /^line \d$/);
});

test('a configuration is frozen, all of it', () => {
  const parsed = parseConfigText(schema, 'hub:\n  port: 1\n');
  assert.ok('config' in parsed);
  assert.ok(Object.isFrozen(parsed.config));
  assert.ok(Object.isFrozen(parsed.config.hub));
});

test.run();
