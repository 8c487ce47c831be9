import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { FakeClock } from '../core/fake-clock.ts';
import { silentLogger } from '../core/log.ts';
import { type Message, type MessageDraft, replyTo } from '../core/message.ts';
import { Metrics } from '../core/metrics.ts';
import { minutes, seconds } from '../core/units.ts';
import { Outbox, type OutboxStore } from './outbox.ts';

type Row = { seq: number; subject: string | null; message: string; bytes: number };

/** The table in memory; durable writes are told to be safe when the test says so. */
class FakeStore implements OutboxStore {
  rows: Row[] = [];
  disk: Promise<void> = Promise.resolve();
  private seq = 0;
  readonly outbox: OutboxStore['outbox'] = {
    add: ({ subject, message, bytes }) => {
      const superseded = subject === null ? undefined : this.rows.find((row) => row.subject === subject);
      this.rows = this.rows.filter((row) => row !== superseded);
      this.rows.push({ seq: ++this.seq, subject, message, bytes });
      return superseded?.bytes;
    },
    list: (after, limit) => this.rows.filter(({ seq }) => seq > after).slice(0, limit),
    remove: (seq) => {
      const row = this.rows.find((r) => r.seq === seq);
      this.rows = this.rows.filter((r) => r !== row);
      return row?.bytes;
    },
    totals: () => ({ count: this.rows.length, bytes: this.rows.reduce((sum, { bytes }) => sum + bytes, 0) }),
  };

  durable(work: () => void): Promise<void> {
    work();
    return this.disk;
  }

  lazy(work: () => void): void {
    work();
  }
}

type Context = {
  clock: FakeClock;
  store: FakeStore;
  metrics: Metrics;
  sent: Message[];
  /** What is called when the cloud has received a message. */
  receipts: (() => void)[];
  link: { takes: boolean };
  outbox: Outbox;
  make: () => Outbox;
};
const test = suite<Context>('outbox');

test.before.each((context) => {
  const clock = new FakeClock();
  const store = new FakeStore();
  const metrics = new Metrics();
  const sent: Message[] = [];
  const link = { takes: true };
  const receipts: Context['receipts'] = [];
  const send = (message: Message, received?: () => void): boolean => {
    if (link.takes) sent.push(message);
    if (link.takes && received) receipts.push(received);
    return link.takes;
  };
  const make = (): Outbox => new Outbox({ store, clock, log: silentLogger, metrics, send });
  Object.assign(context, { clock, store, metrics, sent, receipts, link, make, outbox: make() });
});

const draft = (content: unknown, resource = 'default/podpatch/web'): MessageDraft => ({
  source: 'edged',
  group: 'meta',
  operation: 'patch',
  resource,
  content,
});
const contents = (messages: Message[]): unknown[] => messages.map(({ content }) => content);
const kept = ({ rows }: FakeStore): unknown[] =>
  rows.map(({ message }) => (JSON.parse(message) as Message).content);
const figure = (metrics: Metrics, name: string): number =>
  Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(metrics.render())?.[1]);
const answer = (outbox: Outbox, request: Message | undefined, content: unknown, operation = 'response') => {
  assert.ok(request);
  const reply = replyTo(request, content, 0);
  return outbox.answered({ ...reply, route: { ...reply.route, operation } });
};

test('an entry is on disk before it is sent, and forgotten when answered', async ({
  outbox,
  store,
  sent,
  clock,
}) => {
  outbox.online(true);
  let written = (): void => {};
  store.disk = new Promise((resolve) => {
    written = resolve;
  });
  const put = outbox.put('pod/default/web#status', draft('a'));
  await clock.advance(0);
  assert.equal(kept(store), ['a']);
  assert.equal(sent, []);
  written();
  await put;
  assert.equal(contents(sent), ['a']);
  assert.equal(kept(store), ['a']);
  assert.is(answer(outbox, sent[0], { Object: {}, Err: null }), sent[0]);
  assert.equal(kept(store), []);
  assert.is(clock.pending, 0);
});

test('what was put while the link was down is sent in order when it returns', async ({
  outbox,
  store,
  sent,
}) => {
  await outbox.put('a', draft(1));
  await outbox.put(null, draft(2));
  await outbox.put('b', draft(3));
  assert.equal(sent, []);
  outbox.online(true);
  assert.equal(contents(sent), [1, 2, 3]);
  assert.is(store.rows.length, 3);
});

test('of one subject the last state counts, entries without subject count each', async ({ outbox, sent }) => {
  await outbox.put('a', draft('old'));
  await outbox.put(null, draft('event'));
  await outbox.put(null, draft('event'));
  await outbox.put('a', draft('new'));
  outbox.online(true);
  assert.equal(contents(sent), ['event', 'event', 'new']);
});

test('two states of one subject are never under way together', async ({ outbox, sent }) => {
  outbox.online(true);
  await outbox.put('a', draft(1));
  await outbox.put('a', draft(2));
  await outbox.put('a', draft(3));
  await outbox.put('b', draft('other'));
  assert.equal(contents(sent), [1, 'other']);
  answer(outbox, sent[0], 'OK');
  assert.equal(contents(sent), [1, 'other', 3]);
});

test('a pod’s deletion waits for its last status', async ({ outbox, sent }) => {
  outbox.online(true);
  await outbox.put('pod/default/web#status', draft('status'));
  await outbox.put('pod/default/web#delete', draft('delete', 'default/pod/web'));
  assert.equal(contents(sent), ['status']);
  answer(outbox, sent[0], 'OK');
  assert.equal(contents(sent), ['status', 'delete']);
});

test('sixteen entries may be under way; each answer lets the next one go', async ({ outbox, sent }) => {
  for (let i = 0; i < 20; i++) await outbox.put(`s${i}`, draft(i));
  outbox.online(true);
  assert.is(sent.length, 16);
  answer(outbox, sent[3], 'OK');
  assert.is(sent.length, 17);
  assert.is(sent[16]?.content, 16);
});

test('what was not answered when the link went is sent again on the next, with the same id', async ({
  outbox,
  sent,
  clock,
}) => {
  outbox.online(true);
  await outbox.put('a', draft(1));
  outbox.online(false);
  assert.is(clock.pending, 0);
  await clock.advance(minutes(5));
  assert.is(sent.length, 1);
  outbox.online(true);
  assert.equal(contents(sent), [1, 1]);
  assert.is(sent[1]?.header.msg_id, sent[0]?.header.msg_id);
});

test('entries outlive the process', async ({ outbox, sent, make }) => {
  await outbox.put('a', draft(1));
  const next = make();
  next.online(true);
  assert.equal(contents(sent), [1]);
});

test('an entry that is not answered is sent again after 20 s, and given up after the fifth time', async ({
  outbox,
  store,
  sent,
  clock,
  metrics,
}) => {
  outbox.online(true);
  await outbox.put('a', draft(1));
  await clock.advance(seconds(20) - 1);
  assert.is(sent.length, 1);
  await clock.advance(1);
  assert.is(sent.length, 2);
  await clock.advance(minutes(10));
  assert.is(sent.length, 5);
  assert.equal(kept(store), []);
  assert.is(figure(metrics, 'edgecore_outbox_dropped_total'), 1);
  assert.is(clock.pending, 0);
});

const refused = (code: number) => ({ Object: null, Err: { ErrStatus: { code, message: 'no' } } });
const final: [string, unknown][] = [
  ['OK', 'OK'],
  ['the object', { Object: { metadata: {} }, Err: null }],
  ['404: it is gone', refused(404)],
  ['409: it is another one', refused(409)],
  ['422: it is invalid', refused(422)],
  ['a bare 404', { ErrStatus: { code: 404, message: 'no' } }],
];
for (const [what, content] of final) {
  test(`the answer "${what}" settles an entry`, async ({ outbox, store, sent }) => {
    outbox.online(true);
    await outbox.put('a', draft(1));
    answer(outbox, sent[0], content);
    assert.equal(kept(store), []);
    assert.is(sent.length, 1);
  });
}

const transient: [string, unknown, string][] = [
  ['an error in plain text', 'etcd is away', 'error'],
  ['429', refused(429), 'response'],
  ['500', refused(500), 'response'],
  ['a bare 503', { ErrStatus: { code: 503, message: 'no' } }, 'response'],
  ['an empty Err', { Object: null, Err: {} }, 'response'],
];
for (const [what, content, operation] of transient) {
  test(`after ${what} an entry waits 5, 10, 20 and 40 s, then it is given up`, async ({
    outbox,
    store,
    sent,
    clock,
    metrics,
  }) => {
    outbox.online(true);
    await outbox.put('a', draft(1));
    for (const [tries, wait] of [5, 10, 20, 40].entries()) {
      answer(outbox, sent.at(-1), content, operation);
      await clock.advance(seconds(wait) - 1);
      assert.is(sent.length, tries + 1);
      await clock.advance(1);
      assert.is(sent.length, tries + 2);
    }
    assert.equal(kept(store), [1]);
    answer(outbox, sent.at(-1), content, operation);
    assert.equal(kept(store), []);
    assert.is(figure(metrics, 'edgecore_outbox_dropped_total'), 1);
    assert.is(clock.pending, 0);
  });
}

test('a refused state that was overtaken on disk is not sent again: the newer one goes', async ({
  outbox,
  sent,
  clock,
}) => {
  outbox.online(true);
  await outbox.put('a', draft('old'));
  answer(outbox, sent[0], refused(500));
  await outbox.put('a', draft('new'));
  assert.equal(contents(sent), ['old']);
  await clock.advance(seconds(5));
  assert.equal(contents(sent), ['old', 'new']);
});

test('an answer to somebody else’s message is none of ours', async ({ outbox, sent, store }) => {
  outbox.online(true);
  await outbox.put('a', draft(1));
  const [first] = sent;
  assert.ok(first);
  const foreign = { ...first, header: { ...first.header, msg_id: 'other' } };
  assert.is(outbox.answered(replyTo(foreign, 'OK', 0)), undefined);
  assert.is(store.rows.length, 1);
});

test('events and uploads of topics are never answered: done once the cloud has received them', async ({
  outbox,
  store,
  sent,
  receipts,
  clock,
}) => {
  outbox.online(true);
  await outbox.put(null, draft('event', 'default/event/web.1'));
  await outbox.put(null, { ...draft('upload', 'a/user/b'), group: 'user', operation: 'upload' });
  assert.equal(contents(sent), ['event', 'upload']);
  assert.equal(kept(store), ['event', 'upload']);
  for (const received of receipts) received();
  assert.equal(kept(store), []);
  assert.is(clock.pending, 0);
});

test('what the cloud was not seen to receive is sent again over the next link', async ({
  outbox,
  store,
  sent,
  receipts,
}) => {
  outbox.online(true);
  await outbox.put(null, draft('event', 'default/event/web.1'));
  outbox.online(false);
  outbox.online(true);
  assert.equal(contents(sent), ['event', 'event']);
  receipts[1]?.();
  assert.equal(kept(store), []);
});

test('however much has gathered, all of it is sent, sixteen at a time', async ({
  outbox,
  store,
  sent,
  receipts,
}) => {
  for (let i = 0; i < 100; i++) await outbox.put(null, draft(i, 'default/event/web.1'));
  outbox.online(true);
  assert.is(sent.length, 16);
  for (let i = 0; i < 100; i++) receipts[i]?.();
  assert.equal(
    contents(sent),
    Array.from({ length: 100 }, (_, i) => i),
  );
  assert.equal(kept(store), []);
});

test('what is offered never touches the disk, and waits in memory while there is no link', async ({
  outbox,
  store,
  sent,
  receipts,
  metrics,
}) => {
  for (let i = 0; i < 1003; i++) outbox.offer(draft(i));
  assert.equal([store.rows.length, sent.length], [0, 0]);
  assert.is(figure(metrics, 'edgecore_outbox_offers_dropped_total'), 3);
  outbox.online(true);
  assert.equal([sent.length, sent[0]?.content], [16, 3]);
  for (let i = 0; i < 1000; i++) receipts[i]?.();
  assert.equal([sent.length, sent.at(-1)?.content], [1000, 1002]);
  outbox.offer(draft('now'));
  assert.is(sent.at(-1)?.content, 'now');
  assert.is(store.rows.length, 0);
});

test('a flood of offers does not hold up what is stored, and a receipt of an old link counts no more', async ({
  outbox,
  sent,
  receipts,
}) => {
  outbox.online(true);
  for (let i = 0; i < 100; i++) outbox.offer(draft(i));
  assert.is(sent.length, 16);
  await outbox.put(null, draft('event', 'default/event/web.1'));
  assert.is(sent.at(-1)?.content, 'event');
  outbox.online(false);
  outbox.online(true);
  const before = sent.length;
  for (const received of receipts.slice(0, 16)) received();
  assert.is(sent.length, before);
});

test('a link that takes nothing loses nothing', async ({ outbox, store, sent, link }) => {
  link.takes = false;
  outbox.online(true);
  await outbox.put(null, draft('event', 'default/event/web.1'));
  assert.is(store.rows.length, 1);
  link.takes = true;
  outbox.online(true);
  assert.is(sent.length, 1);
});

test('a full box drops its oldest entries, and counts them', async ({ outbox, store, metrics }) => {
  const large = 'x'.repeat(1024 * 1024);
  for (let i = 0; i < 22; i++) await outbox.put(null, draft(`${i} ${large}`));
  const numbers = kept(store).map((content) => Number.parseInt(String(content), 10));
  assert.is(numbers.at(-1), 21, 'the newest is there');
  assert.equal(
    numbers,
    [...numbers].sort((a, b) => a - b),
  );
  assert.is(numbers.length, 19);
  assert.is(figure(metrics, 'edgecore_outbox_dropped_total'), 3);
  assert.is(figure(metrics, 'edgecore_outbox_entries'), 19);
  assert.ok(figure(metrics, 'edgecore_outbox_bytes') <= 20 * 1024 * 1024);
});

test.run();
