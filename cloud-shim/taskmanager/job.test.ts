import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { millis } from '../../runtime/core/units.ts';
import { advance, type Facts, isOver, type Job, type NodeTask, type Report, type Step } from './job.ts';

const test = suite('node jobs');
const edges = new Map([
  ['a', { hall: '1', kind: 'gate' }],
  ['b', { hall: '1' }],
  ['c', { hall: '2' }],
]);
let minute = 0;
const report = (node: string, action: string, succ = true, more: Partial<Report> = {}): Report => ({
  node,
  action,
  succ,
  finishTime: `2026-01-01T00:${String(minute++).padStart(2, '0')}:00Z`,
  reason: succ ? '' : `${action} failed`,
  extend: '',
  ...more,
});
const facts = (more: Partial<Facts> = {}): Facts => ({
  reports: [],
  edges,
  isConnected: () => true,
  waited: () => millis(0),
  ...more,
});
const upgrade = (spec: object, status?: Job['status']): Job => ({
  metadata: { name: 'up' },
  spec: { version: 'v1.0.0', ...spec },
  ...(status ? { status } : {}),
});
/** Goes on with a job until the reports are used up. */
function play(spec: object, ...turns: Partial<Facts>[]): Step {
  let step = advance('nodeupgradejob', upgrade(spec), facts(turns[0]));
  for (const turn of turns.slice(1))
    step = advance('nodeupgradejob', upgrade(spec, step.status), facts(turn));
  return step;
}
const phases = ({ status }: Step): string[] => [
  status.phase,
  ...(status.nodeStatus ?? []).map(({ nodeName, phase }) => `${nodeName} ${phase}`),
];
const task = ({ status }: Step, node: string): NodeTask | undefined =>
  status.nodeStatus?.find(({ nodeName }) => nodeName === node);

for (const [what, spec, wanted] of [
  ['names', { nodeNames: ['b', 'a', 'b'] }, ['InProgress', 'b InProgress', 'a Pending']],
  [
    'labels',
    { labelSelector: { matchLabels: { hall: '1' } }, concurrency: 5 },
    ['InProgress', 'a InProgress', 'b InProgress'],
  ],
  [
    'expressions',
    {
      labelSelector: {
        matchExpressions: [
          { key: 'hall', operator: 'In', values: ['1', '3'] },
          { key: 'kind', operator: 'DoesNotExist' },
        ],
      },
    },
    ['InProgress', 'b InProgress'],
  ],
  [
    'a name that is none',
    { nodeNames: ['a', 'z'], failureTolerate: '0.5' },
    ['InProgress', 'a InProgress', 'z Failure'],
  ],
  [
    'a name that is none, and nothing tolerated',
    { nodeNames: ['a', 'z'] },
    ['Failure', 'a Pending', 'z Failure'],
  ],
] as const) {
  test(`nodes are chosen by ${what}`, () => assert.equal(phases(play(spec, {})), wanted));
}

for (const [spec, reason] of [
  [{}, /says no nodes: want nodeNames or labelSelector/],
  [{ nodeNames: ['a'], labelSelector: {} }, /want one of them/],
  [{ labelSelector: { matchLabels: { hall: '9' } } }, /selects no edge node/],
  [{ labelSelector: { matchExpressions: [{ key: 'hall', operator: 'Near' }] } }, /selects no edge node/],
] as const) {
  test(`${JSON.stringify(spec)} fails at once, and says why`, () => {
    const { status, begun } = play(spec, {});
    assert.is(status.phase, 'Failure');
    assert.match(status.reason ?? '', reason);
    assert.equal([begun, isOver(status)], [[], true]);
  });
}

test('one node after the other is upgraded, and says from what to what', () => {
  const spec = { nodeNames: ['a', 'b'] };
  const of = (node: string) => [
    report(node, 'Check'),
    report(node, 'WaitingConfirmation'),
    report(node, 'BackUp', true, { extend: '0.9.0,1.0.0' }),
    report(node, 'Upgrade', true, { extend: '0.9.0,1.0.0' }),
  ];
  const half = play(spec, {}, { reports: of('a') });
  assert.equal([phases(half), half.begun], [['InProgress', 'a Successful', 'b InProgress'], ['b']]);
  const whole = advance('nodeupgradejob', upgrade(spec, half.status), facts({ reports: of('b') }));
  assert.equal(phases(whole), ['Completed', 'a Successful', 'b Successful']);
  assert.is(task(whole, 'a')?.currentVersion, '1.0.0');
  assert.is(task(whole, 'a')?.historicVersion, '0.9.0');
  assert.equal(
    task(whole, 'b')?.actionFlow?.map(({ action, status }) => `${action} ${status}`),
    ['Check True', 'WaitingConfirmation True', 'BackUp True', 'Upgrade True'],
  );
  assert.ok(isOver(whole.status));
});

test('a version that is given up is a failure with its reason, rolled back or not', () => {
  const failed = report('a', 'Upgrade', false, { reason: 'it ended at once' });
  const back = play({ nodeNames: ['a'] }, {}, { reports: [failed] }, { reports: [report('a', 'RollBack')] });
  assert.equal(phases(back), ['Failure', 'a Failure']);
  assert.is(task(back, 'a')?.reason, 'it ended at once');
  assert.is(back.status.reason, '1 of 1 nodes failed; a: it ended at once');
  const broken = play({ nodeNames: ['a'] }, {}, { reports: [failed, report('a', 'RollBack', false)] });
  assert.is(task(broken, 'a')?.reason, 'it ended at once; rolling back failed: RollBack failed');
});

test('when more have failed than is tolerated, no further node is begun', () => {
  const spec = { nodeNames: ['a', 'b', 'c'], failureTolerate: '0.4' };
  const first = play(spec, {}, { reports: [report('a', 'Check', false)] });
  assert.equal(
    [phases(first), first.begun],
    [['InProgress', 'a Failure', 'b InProgress', 'c Pending'], ['b']],
  );
  const second = advance(
    'nodeupgradejob',
    upgrade(spec, first.status),
    facts({ reports: [report('b', 'Check', false)] }),
  );
  assert.equal(phases(second), ['Failure', 'a Failure', 'b Failure', 'c Pending']);
  assert.ok(isOver(second.status));
});

test('a node that is away is passed over, begins when it is back, and fails when it stays away', () => {
  const spec = { nodeNames: ['a', 'b'], timeoutSeconds: 60, failureTolerate: '0.5' };
  const away: Partial<Facts> = { isConnected: (node) => node !== 'a' };
  const first = play(spec, away);
  assert.equal([first.begun, first.missed], [['b'], []]);
  const done = [report('b', 'Upgrade')];
  const second = play(spec, away, { ...away, reports: done });
  assert.equal([second.begun, second.missed], [[], ['a']]);
  const back = play(spec, away, { ...away, reports: done }, {});
  assert.equal(back.begun, ['a']);
  const gone = play(spec, away, {
    ...away,
    reports: done,
    waited: (node) => millis(node === 'a' ? 60_000 : 0),
  });
  assert.equal(phases(gone), ['Completed', 'a Failure', 'b Successful']);
  assert.is(task(gone, 'a')?.reason, 'it was away for 60 s');
});

test('a node that falls silent is unknown; one that waits for somebody may wait; a late word counts', () => {
  const silent: Partial<Facts> = { waited: () => millis(300_000) };
  const lost = play({ nodeNames: ['a'] }, {}, { reports: [report('a', 'BackUp')] }, silent);
  assert.equal(phases(lost), ['Failure', 'a Unknown']);
  assert.is(task(lost, 'a')?.reason, 'nothing was heard since BackUp for 300 s');
  const late = advance(
    'nodeupgradejob',
    upgrade({ nodeNames: ['a'] }, lost.status),
    facts({ reports: [report('a', 'Upgrade')] }),
  );
  assert.equal(phases(late), ['Completed', 'a Successful']);
  const confirmed = { nodeNames: ['a'], requireConfirmation: true };
  const waits = play(confirmed, {}, { reports: [report('a', 'WaitingConfirmation')] }, silent);
  assert.equal(phases(waits), ['InProgress', 'a InProgress']);
});

test('a word that comes twice counts once, and one of another node not at all', () => {
  const said = report('a', 'Check');
  const { status } = play(
    { nodeNames: ['a'] },
    {},
    { reports: [said, said] },
    { reports: [said, report('z', 'Check')] },
  );
  assert.is(status.nodeStatus?.[0]?.actionFlow?.length, 1);
  assert.is(status.nodeStatus?.length, 1);
});

test('images are told one by one', () => {
  const job: Job = {
    metadata: { name: 'pull' },
    spec: { imagePrePullTemplate: { images: ['x', 'y'], nodeNames: ['a'] } },
  };
  const begun = advance('imageprepulljob', job, facts());
  const extend = JSON.stringify([
    { image: 'x', status: 'True' },
    { image: 'y', status: 'False', reason: 'no such image' },
  ]);
  const pulled = report('a', 'Pull', false, { reason: 'cannot be pulled: y', extend });
  const over = advance(
    'imageprepulljob',
    { ...job, status: begun.status },
    facts({ reports: [report('a', 'Check'), pulled] }),
  );
  assert.equal(phases(over), ['Failure', 'a Failure']);
  assert.equal(task(over, 'a')?.imageStatus, JSON.parse(extend));
});

test.run();
