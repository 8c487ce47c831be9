import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { FakeClock } from '../../runtime/core/fake-clock.ts';
import type { KubeObject, Node } from '../../runtime/core/k8s.ts';
import { silentLogger } from '../../runtime/core/log.ts';
import { type MessageDraft, newMessage } from '../../runtime/core/message.ts';
import { FakeApi } from '../kube/fake-api.ts';
import { Informer } from '../kube/informer.ts';
import { kinds } from '../kube/resource-kind.ts';
import type { LocalRule } from './rule-status.ts';
import { RuleController } from './rulecontroller.ts';

type Context = {
  api: FakeApi;
  clock: FakeClock;
  controller: RuleController;
  /** `node operation resource`. */
  sent: string[];
  away: Set<string>;
  put: (object: LocalRule | Node) => Promise<void>;
  remove: (object: LocalRule | Node) => Promise<void>;
  /** A node says something of rule r. @returns the answer */
  say: (node: string, content: object) => Promise<unknown>;
  stop: () => Promise<void>;
};
const test = suite<Context>('rule controller');

test.before.each(async (context) => {
  const api = new FakeApi();
  const clock = new FakeClock(Date.UTC(2026, 0, 1));
  const abort = new AbortController();
  const sent: string[] = [];
  const away = new Set<string>();
  const of = <T extends KubeObject>(kind: typeof kinds.localRule): Informer<T> =>
    new Informer<T>({ api, kind, clock, log: silentLogger, random: () => 0 });
  const informers = { rules: of<LocalRule>(kinds.localRule), nodes: of<Node>(kinds.node as never) };
  await Promise.all(Object.values(informers).map((informer) => informer.start(abort.signal)));
  const controller = new RuleController({
    ...informers,
    api,
    link: {
      isConnected: (node) => !away.has(node),
      deliver: (node: string, { source, operation, resource, content }: MessageDraft) => {
        assert.is(source, 'edgecontroller');
        assert.not('status' in (content as object), 'a node needs no status');
        sent.push(`${node} ${operation} ${resource}`);
      },
    },
    clock,
    log: silentLogger,
  });
  let version = 1000;
  const tell = async (type: 'MODIFIED' | 'DELETED', object: LocalRule | Node): Promise<void> => {
    const plural = object.kind === 'Node' ? 'nodes' : 'localrules';
    const metadata = { ...object.metadata, resourceVersion: String(++version) };
    api.watches.find((open) => open.plural === plural)?.send({ type, object: { ...object, metadata } });
    await clock.advance(0);
  };
  Object.assign(context, { api, clock, controller, sent, away });
  context.put = (object) => tell('MODIFIED', object);
  context.remove = (object) => tell('DELETED', object);
  context.say = (node, content) => {
    const draft = {
      source: 'rules',
      group: 'resource',
      operation: 'update',
      resource: 'default/localrulestatus/r',
    };
    const message = newMessage({ ...draft, content }, 0);
    assert.ok(controller.takes(message));
    return controller.handle(node, message);
  };
  context.stop = async () => {
    abort.abort();
    await Promise.all(Object.values(informers).map((informer) => informer.stop()));
  };
});
test.after.each((context) => context.stop());

const rule = (spec: object, more: object = {}): LocalRule =>
  ({
    kind: 'LocalRule',
    metadata: { namespace: 'default', name: 'r', uid: 'u1', ...more },
    spec: { when: {}, do: [], ...spec },
  }) as LocalRule;
const node = (name: string, labels: Record<string, string> = {}): Node =>
  ({ kind: 'Node', metadata: { name, uid: name, labels } }) as unknown as Node;

test('a rule goes to its node, changes, moves and goes', async ({ put, remove, sent, controller }) => {
  await put(rule({ nodeName: 'a' }));
  await put(rule({ nodeName: 'a', for: '3s' }));
  await put(rule({ nodeName: 'b', for: '3s' }));
  await remove(rule({ nodeName: 'b', for: '3s' }));
  assert.equal(sent, [
    'a insert default/localrule/r',
    'a update default/localrule/r',
    'a delete default/localrule/r',
    'b insert default/localrule/r',
    'b delete default/localrule/r',
  ]);
  assert.equal([controller.wanted('a'), controller.wanted('b')], [[], []]);
});

test('a status, or a label of the rule, is no news to a node; an annotation is', async ({ put, sent }) => {
  await put(rule({ nodeName: 'a' }));
  await put({ ...rule({ nodeName: 'a' }), status: { fired: 5 } });
  await put(rule({ nodeName: 'a' }, { labels: { x: 'y' } }));
  assert.is(sent.length, 1);
  await put(rule({ nodeName: 'a' }, { annotations: { 'rules.edgecore.io/reset': '1' } }));
  assert.is(sent.length, 2);
});

test('a selector follows the labels of nodes', async ({ put, remove, sent, controller }) => {
  await put(node('a', { hall: '1' }));
  await put(node('b', { hall: '2' }));
  await put(rule({ nodeSelector: { hall: '1' } }));
  await put(node('b', { hall: '1' }));
  await put(node('a', { hall: '3' }));
  assert.equal(
    controller.wanted('b').map(({ type, object }) => `${type} ${object.metadata.name}`),
    ['localrule r'],
  );
  await remove(node('b', { hall: '1' }));
  assert.equal(sent, [
    'a insert default/localrule/r',
    'b insert default/localrule/r',
    'a delete default/localrule/r',
    'b delete default/localrule/r',
  ]);
});

test('a node that is away gets nothing now; what it should have is known for when it returns', async (context) => {
  const { put, sent, away, controller } = context;
  away.add('a');
  await put(rule({ nodeName: 'a' }));
  assert.equal([sent.length, controller.wanted('a').length], [0, 1]);
});

const running = { uid: 'u1', accepted: true, state: 'running', fired: 3, lastFired: '2026-01-01T00:00:00Z' };

async function statusOf({ api }: Context): Promise<LocalRule['status']> {
  const answer = await api.get<LocalRule>(kinds.localRule, { namespace: 'default', name: 'r' });
  return 'object' in answer ? answer.object.status : undefined;
}

test('what nodes say becomes the status', async (context) => {
  const { api, put, say } = context;
  await put(node('a', { hall: '1' }));
  await put(node('b', { hall: '1' }));
  const object = rule({ nodeSelector: { hall: '1' } });
  await api.create(kinds.localRule, { namespace: 'default', name: 'r' }, object);
  await put(object);
  const words = (status: LocalRule['status']): string[] =>
    (status?.conditions ?? []).map(
      ({ type, status, reason, message }) => `${type} ${status} ${reason} ${message}`,
    );
  assert.equal(words(await statusOf(context)), [
    'Accepted Unknown Waiting no word from a, b',
    'Running Unknown NotAccepted ',
  ]);
  assert.equal(await say('a', running), { content: 'OK', source: 'rulecontroller' });
  assert.equal(words(await statusOf(context)), [
    'Accepted Unknown Waiting no word from b',
    'Running True Running ',
  ]);
  await Promise.all([
    say('b', { uid: 'u1', accepted: false, state: 'refused', fired: 0, reason: 'spec.for: x' }),
    say('a', { ...running, fired: 4, lastFired: '2026-01-02T00:00:00Z', lastError: 'no answer' }),
  ]);
  const status = await statusOf(context);
  assert.equal(words(status), ['Accepted False Refused b: spec.for: x', 'Running True Running ']);
  assert.equal([status?.fired, status?.lastFired], [4, '2026-01-02T00:00:00Z']);
  assert.is(status?.nodes?.a?.lastError, 'no answer');
  await say('b', running);
  await say('a', { ...running, state: 'stopped', reason: 'a loop' });
  const after = await statusOf(context);
  assert.equal(words(after), ['Accepted True Accepted ', 'Running False LoopDetected a: a loop']);
  assert.equal(after?.nodes?.b, { accepted: true, state: 'running', fired: 3, lastFired: running.lastFired });
});

test('a word about a rule that is gone, another one, or of another node is confirmed and passed over', async (context) => {
  const { api, put, say } = context;
  assert.equal(await say('a', running), { content: 'OK', source: 'rulecontroller' });
  await put(rule({ nodeName: 'a' }));
  api.calls.length = 0;
  await say('b', running);
  await say('a', { ...running, uid: 'older' });
  assert.equal(api.calls, []);
});

test('a new spec has to be accepted anew; a shim that starts leaves what was said', async (context) => {
  const { api, clock, put, say } = context;
  const first = rule({ nodeName: 'a' }, { generation: 1 });
  await api.create(kinds.localRule, { namespace: 'default', name: 'r' }, first);
  await put({ ...first, status: { conditions: [{ type: 'Accepted', status: 'True' }] } });
  assert.equal(
    api.calls.filter((call) => call.startsWith('PATCH')),
    [],
  );
  await say('a', { ...running, lastError: 'no answer' });
  await put(rule({ nodeName: 'a', for: '3s' }, { generation: 2 }));
  await clock.advance(0);
  const status = await statusOf(context);
  assert.equal(
    [status?.conditions?.[0]?.status, status?.fired, status?.lastFired, status?.nodes],
    ['Unknown', 0, undefined, {}],
  );
});

test('what the API server does not take is to be sent again', async ({ api, put, say }) => {
  await put(rule({ nodeName: 'a' }));
  api.refusals.push({ call: /^PATCH/, code: 500, reason: 'InternalError' });
  const answer = (await say('a', running)) as { operation?: string };
  assert.is(answer.operation, 'error');
});

test.run();
