import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { beginState, decide, type KeptState, type RuleState } from './decide.ts';
import type { Rule } from './rule.ts';
import { ruleOf, temperature } from './test-rules.ts';

/** Values of conditions, `undefined` for time that only passes, each with its second. */
type Step = readonly [second: number, value: string | undefined, wanted: string, condition?: number];

/** Plays events and compares what the rule does: `do`, `otherwise`, `suppressed` or nothing. */
function play(rule: Rule, steps: readonly Step[], kept?: KeptState): RuleState {
  let state = beginState(rule, 0, kept);
  for (const [second, value, wanted, condition = 0] of steps) {
    const event =
      value === undefined ? ({ kind: 'time' } as const) : ({ kind: 'value', condition, value } as const);
    const before = JSON.stringify(state);
    const decision = decide(rule, state, event, second * 1000);
    assert.is(JSON.stringify(state), before, 'the input is untouched');
    const said = decision.acts ?? (decision.suppressed ? 'suppressed' : '');
    assert.is(said, wanted, `second ${second}: ${value}`);
    state = decision.state;
  }
  return state;
}

const over70 = { ...temperature, above: 70 };

const rows: [string, object, Step[]][] = [
  [
    'acts once when the value comes over the limit, and again after it was under it',
    { when: { all: [over70] } },
    [
      [0, '70', ''],
      [1, '70.1', 'do'],
      [2, '90', ''],
      [3, '70', 'otherwise'],
      [4, '71', 'do'],
    ],
  ],
  [
    'hysteresis: it ends where it is told to',
    { when: { all: [{ ...over70, hysteresis: 5 }] } },
    [
      [0, '71', 'do'],
      [1, '66', ''],
      [2, '65.1', ''],
      [3, '65', 'otherwise'],
      [4, '69', ''],
      [5, '71', 'do'],
    ],
  ],
  [
    'below, with hysteresis',
    { when: { all: [{ ...temperature, below: 5, hysteresis: 2 }] } },
    [
      [0, '5', ''],
      [1, '4', 'do'],
      [2, '6.9', ''],
      [3, '7', 'otherwise'],
      [4, '6', ''],
    ],
  ],
  [
    'for: only what lasts counts',
    { when: { all: [over70] }, for: '3s' },
    [
      [0, '71', ''],
      [2, '72', ''],
      [2.9, '69', ''],
      [3, undefined, ''],
      [4, '71', ''],
      [6.9, undefined, ''],
      [7, undefined, 'do'],
      [9, '60', 'otherwise'],
    ],
  ],
  [
    'for: what ends before has no otherwise',
    { when: { all: [over70] }, for: '3s' },
    [
      [0, '71', ''],
      [1, '60', ''],
    ],
  ],
  [
    'every: what comes too soon is done when the time is over, if it still holds',
    { when: { all: [over70] }, every: '10s' },
    [
      [0, '71', 'do'],
      [1, '60', 'otherwise'],
      [2, '72', ''],
      [9.9, undefined, ''],
      [10, undefined, 'do'],
      [11, '60', 'otherwise'],
      [12, '72', ''],
      [13, '60', ''],
      [20, undefined, ''],
    ],
  ],
  [
    'level: it acts again as long as it holds',
    { when: { all: [over70] }, trigger: 'level', every: '10s' },
    [
      [0, '71', 'do'],
      [5, '72', ''],
      [10, undefined, 'do'],
      [15, undefined, ''],
      [21, '73', 'do'],
      [22, '60', 'otherwise'],
      [40, undefined, ''],
    ],
  ],
  [
    'equals compares numbers by their worth',
    { when: { all: [{ ...temperature, equals: 70 }] } },
    [
      [0, '69', ''],
      [1, '70.0', 'do'],
      [2, '7e1', ''],
      [3, '71', 'otherwise'],
    ],
  ],
  [
    'notEquals',
    { when: { all: [{ ...temperature, notEquals: 'ok' }] } },
    [
      [0, 'ok', ''],
      [1, 'bad', 'do'],
      [2, 'worse', ''],
      [3, 'ok', 'otherwise'],
    ],
  ],
  [
    'changes is a moment; the first value is none',
    { when: { all: [{ ...temperature, changes: true }] } },
    [
      [0, '1', ''],
      [1, '1', ''],
      [2, '2', 'do'],
      [3, '2', ''],
      [4, '3', 'do'],
    ],
  ],
  [
    'changes that come too soon are left out, and counted',
    { when: { all: [{ ...temperature, changes: true }] }, every: '10s' },
    [
      [0, '1', ''],
      [1, '2', 'do'],
      [2, '3', 'suppressed'],
      [10.9, '4', 'suppressed'],
      [11, '5', 'do'],
      [30, undefined, ''],
    ],
  ],
  [
    'noValueFor: silence counts from the beginning and from each value',
    { when: { all: [{ ...temperature, noValueFor: '60s' }] } },
    [
      [59, undefined, ''],
      [60, undefined, 'do'],
      [70, '1', 'otherwise'],
      [129, undefined, ''],
      [130, undefined, 'do'],
    ],
  ],
  [
    'all: every condition has to hold',
    { when: { all: [over70, { topic: 'door', equals: 'open' }] } },
    [
      [0, '71', ''],
      [1, 'open', 'do', 1],
      [2, 'shut', 'otherwise', 1],
      [3, '60', ''],
      [4, 'open', '', 1],
      [5, '80', 'do'],
    ],
  ],
  [
    'any: one is enough, and the end of the last is the end',
    { when: { any: [over70, { topic: 'door', equals: 'open' }] } },
    [
      [0, '71', 'do'],
      [1, 'open', '', 1],
      [2, '60', ''],
      [3, 'shut', 'otherwise', 1],
    ],
  ],
  [
    'all with a moment: the change counts while the other holds',
    { when: { all: [over70, { topic: 'count', changes: true }] } },
    [
      [0, '1', '', 1],
      [1, '2', '', 1],
      [2, '71', ''],
      [3, '3', 'do', 1],
      [4, '4', 'do', 1],
      [5, '60', ''],
      [6, '5', '', 1],
    ],
  ],
];
for (const [what, spec, steps] of rows) test(what, () => void play(ruleOf(spec), steps));

test('a value that is no number leaves the condition as it was, and is told', () => {
  const rule = ruleOf({ when: { all: [over70] } });
  const state = play(rule, [
    [0, '71', 'do'],
    [1, 'hot', ''],
    [2, '', ''],
  ]);
  assert.ok(state.active);
  assert.match(
    decide(rule, state, { kind: 'value', condition: 0, value: 'hot' }, 3000).fault ?? '',
    /"hot" is no number/,
  );
});

test('a rule that was active still is after a restart, and ends by the first value that says so', () => {
  const rule = ruleOf({ when: { all: [{ ...over70, hysteresis: 5 }] }, for: '3s' });
  const kept = { active: true, holds: [true] };
  play(
    rule,
    [
      [0, undefined, ''],
      [5, '67', ''],
      [6, '64', 'otherwise'],
    ],
    kept,
  );
  play(
    rule,
    [
      [0, '75', ''],
      [9, undefined, ''],
    ],
    kept,
  );
});

test('a for that had begun begins anew after a restart', () => {
  const rule = ruleOf({ when: { all: [over70] }, for: '3s' });
  play(
    rule,
    [
      [0, '75', ''],
      [2.9, undefined, ''],
      [3, undefined, 'do'],
    ],
    { active: false, holds: [true] },
  );
});

test('a silence that was told is not told again after a restart', () => {
  const rule = ruleOf({ when: { all: [{ ...temperature, noValueFor: '60s' }] } });
  play(
    rule,
    [
      [100, undefined, ''],
      [101, '1', 'otherwise'],
    ],
    { active: true, holds: [true] },
  );
});

test('it is woken when something is due, and not otherwise', () => {
  const wake = (spec: object, ...steps: [number, string][]): number | undefined => {
    const rule = ruleOf(spec);
    let state = beginState(rule, 0);
    let wakeAt: number | undefined = decide(rule, state, { kind: 'time' }, 0).wakeAt;
    for (const [second, value] of steps)
      ({ state, wakeAt } = decide(rule, state, { kind: 'value', condition: 0, value }, second * 1000));
    return wakeAt;
  };
  assert.is(wake({ when: { all: [over70] } }), undefined);
  assert.is(wake({ when: { all: [over70] } }, [1, '71']), undefined);
  assert.is(wake({ when: { all: [over70] }, for: '3s' }, [1, '71'], [2, '72']), 4000);
  assert.is(wake({ when: { all: [over70] }, every: '9s' }, [1, '71'], [2, '60'], [3, '71']), 10_000);
  assert.is(wake({ when: { all: [over70] }, trigger: 'level', every: '9s' }, [1, '71']), 10_000);
  assert.is(wake({ when: { all: [{ ...temperature, noValueFor: '60s' }] } }), 60_000);
  assert.is(wake({ when: { all: [{ ...temperature, noValueFor: '60s' }] } }, [5, 'x']), 65_000);
});

test.run();
