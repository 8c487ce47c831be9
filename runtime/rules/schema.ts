import * as v from 'valibot';
import type { HttpMethod } from './rule.ts';

/** The form of a LocalRule, as the CRD and local files write it. What several keys mean together is checked in
 * parse-rule.ts. */

const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] as const satisfies readonly HttpMethod[];
const LARGEST_TEXT = 16_384;
const MOST = 8;

/** An object that knows its keys, and says which they are. */
function keyed<E extends v.ObjectEntries>(entries: E) {
  const keys = Object.keys(entries).join(', ');
  return v.strictObject(entries, ({ expected }) =>
    expected === 'never' ? `unknown key: want one of ${keys}` : `want an object with ${keys}`,
  );
}

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
const DURATION = /^(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h)$/;
const LONGEST = 7 * 24 * 3_600_000;

/** A text such as `500ms`, `30s`, `5m` or `1h`, as ms. */
const duration = v.pipe(
  v.string('want a time such as 500ms, 30s, 5m or 1h'),
  v.regex(DURATION, 'want a time such as 500ms, 30s, 5m or 1h'),
  v.transform((text) => {
    const [, number, unit = 's'] = DURATION.exec(text) ?? [];
    return Math.round(Number(number) * (UNITS[unit] ?? 0));
  }),
  v.check((ms) => ms <= LONGEST, 'want a week (168h) or less'),
);

const text = v.pipe(v.string(), v.maxLength(LARGEST_TEXT, `want ${LARGEST_TEXT} characters or less`));
const name = v.pipe(v.string(), v.nonEmpty('want a name'), v.maxLength(253, 'want 253 characters or less'));
const topic = v.pipe(
  v.string(),
  v.nonEmpty('want a topic'),
  v.maxLength(1024, 'want 1024 characters or less'),
  v.check((text) => !/[+#\0]/.test(text), 'want one topic, without + and #: make a rule for each'),
);
const number = v.pipe(v.number(), v.finite('want a number'));
/** A text, a number, true or false, as text. */
const scalar = v.pipe(
  v.union([text, number, v.boolean()], 'want a text, a number, true or false'),
  v.transform(String),
);

const condition = keyed({
  device: v.optional(name),
  property: v.optional(name),
  topic: v.optional(topic),
  path: v.optional(text),
  above: v.optional(number),
  below: v.optional(number),
  hysteresis: v.optional(v.pipe(number, v.minValue(0, 'want 0 or more'))),
  equals: v.optional(scalar),
  notEquals: v.optional(scalar),
  changes: v.optional(v.literal(true, 'want true')),
  noValueFor: v.optional(duration),
});
const conditions = v.pipe(
  v.array(condition, 'want a list of conditions'),
  v.minLength(1, 'want one condition or more'),
  v.maxLength(MOST, `want ${MOST} conditions or less`),
);

const url = v.pipe(
  v.string(),
  v.maxLength(2048, 'want 2048 characters or less'),
  v.check(
    (text) => /^https?:\/\/[^/?#]+/.test(text) && URL.canParse(text),
    'want http://HOST… or https://HOST…',
  ),
);
const headers = v.pipe(
  v.record(
    v.pipe(v.string(), v.regex(/^[\w!#$%&'*+.^`|~-]+$/, 'want the name of an HTTP header')),
    v.pipe(v.string(), v.maxLength(1024), v.regex(/^[\x20-\x7e\t]*$/, 'want printable ASCII')),
  ),
  v.check((all) => Object.keys(all).length <= 16, 'want 16 headers or less'),
);

const action = keyed({
  write: v.optional(keyed({ device: name, property: name, value: scalar })),
  publish: v.optional(
    keyed({
      topic,
      payload: v.optional(text, '{{value}}'),
      qos: v.optional(v.picklist([0, 1]), 0),
      retain: v.optional(v.boolean(), false),
    }),
  ),
  http: v.optional(
    keyed({
      url,
      method: v.optional(v.picklist(METHODS), 'POST'),
      headers: v.optional(headers, {}),
      body: v.optional(text),
      timeout: v.optional(
        v.pipe(
          duration,
          v.check((ms) => ms >= 100 && ms <= 60_000, 'want 100ms to 60s'),
        ),
        '10s',
      ),
      durable: v.optional(v.boolean(), false),
    }),
  ),
});
const actions = v.pipe(
  v.array(action, 'want a list of actions'),
  v.maxLength(MOST, `want ${MOST} actions or less`),
);

const spec = keyed({
  nodeName: v.optional(name),
  nodeSelector: v.optional(v.record(v.string(), v.string())),
  when: keyed({ all: v.optional(conditions), any: v.optional(conditions) }),
  for: v.optional(duration, '0s'),
  every: v.optional(duration, '0s'),
  trigger: v.optional(v.picklist(['edge', 'level']), 'edge'),
  do: v.pipe(actions, v.minLength(1, 'want one action or more')),
  otherwise: v.optional(actions, []),
});

export const ruleSchema = v.looseObject({
  apiVersion: v.literal('rules.edgecore.io/v1alpha1', 'want rules.edgecore.io/v1alpha1'),
  kind: v.literal('LocalRule', 'want LocalRule'),
  metadata: v.looseObject({
    name,
    namespace: v.optional(name, 'default'),
    annotations: v.optional(v.nullable(v.record(v.string(), v.string()))),
  }),
  spec,
});

export type RawRule = v.InferOutput<typeof ruleSchema>;
export type RawCondition = v.InferOutput<typeof condition>;
export type RawAction = v.InferOutput<typeof action>;
