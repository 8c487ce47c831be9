import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { FakeClock } from '../core/fake-clock.ts';
import { silentLogger } from '../core/log.ts';
import { type Message, type MessageDraft, replyTo } from '../core/message.ts';
import { Metrics } from '../core/metrics.ts';
import type { TimeTrust } from '../core/time-trust.ts';
import { minutes, seconds } from '../core/units.ts';
import type { FrameNotices } from '../wire/frame-writer.ts';
import type { EdgeHubConfig } from './config.ts';
import { Outbox, type OutboxStore } from './outbox.ts';
import { Unanswered } from './unanswered.ts';

type Row = ReturnType<OutboxStore['outbox']['list']>[number];
type Class = Row['class'];
const CLASSES = ['state', 'event', 'history'] as const;

/** One class's rows by `seq`; cheap at both ends, as the table's index is. */
class Rows {
  private rows: (Row | undefined)[] = [];
  private head = 0;
  count = 0;
  bytes = 0;

  push(row: Row): void {
    this.rows.push(row);
    this.count++;
    this.bytes += row.bytes;
  }

  after(seq: number, limit: number): Row[] {
    const found: Row[] = [];
    for (let at = this.head; at < this.rows.length && found.length < limit; at++) {
      const row = this.rows[at];
      if (row && row.seq > seq) found.push(row);
    }
    return found;
  }

  take(seq: number): Row | undefined {
    const at = this.rows.findIndex((row, place) => place >= this.head && row?.seq === seq);
    const row = this.rows[at];
    if (!row) return undefined;
    this.rows[at] = undefined;
    this.count--;
    this.bytes -= row.bytes;
    while (this.head < this.rows.length && !this.rows[this.head]) this.head++;
    if (this.head < 1000) return row;
    this.rows = this.rows.slice(this.head);
    this.head = 0;
    return row;
  }
}

/** The table in memory; durable writes are told to be safe when the test says so. */
class FakeStore implements OutboxStore {
  disk: Promise<void> = Promise.resolve();
  private readonly kept: Record<Class, Rows> = { state: new Rows(), event: new Rows(), history: new Rows() };
  private readonly subjects = new Map<string, number>();
  private readonly classes = new Map<number, Class>();
  private seq = 0;
  readonly outbox: OutboxStore['outbox'] = {
    add: (entry) => {
      const { subject } = entry;
      const superseded = this.outbox.remove((subject !== null && this.subjects.get(subject)) || 0);
      const seq = ++this.seq;
      this.kept[entry.class].push({ ...entry, seq });
      this.classes.set(seq, entry.class);
      if (subject !== null) this.subjects.set(subject, seq);
      return superseded;
    },
    list: (of, after, limit) => this.kept[of].after(after, limit),
    has: (seq) => this.classes.has(seq),
    remove: (seq) => {
      const of = this.classes.get(seq);
      const row = of && this.kept[of].take(seq);
      this.classes.delete(seq);
      if (row?.subject && this.subjects.get(row.subject) === seq) this.subjects.delete(row.subject);
      return row?.bytes;
    },
    restamp: (boot, epoch) => {
      for (const row of this.rows.filter((r) => r.boot === boot))
        Object.assign(row, { boot: '', created: row.mono + epoch });
    },
    totals: () =>
      CLASSES.map((of) => ({ class: of, count: this.kept[of].count, bytes: this.kept[of].bytes })),
  };

  get rows(): Row[] {
    return CLASSES.flatMap((of) => this.kept[of].after(0, Number.POSITIVE_INFINITY)).sort(
      (x, y) => x.seq - y.seq,
    );
  }

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
  link: { takes: boolean; idle: boolean; arrives: boolean; arrivals: (() => void)[] };
  logged: [string, unknown][];
  time: { trusted: boolean; arrive: (boot: string, epoch: number) => void };
  outbox: Outbox;
  make: (config?: Partial<EdgeHubConfig['outbox']>) => Outbox;
};
const test = suite<Context>('outbox');

test.before.each((context) => {
  const clock = new FakeClock();
  const store = new FakeStore();
  const metrics = new Metrics();
  const sent: Message[] = [];
  const logged: Context['logged'] = [];
  const link: Context['link'] = { takes: true, idle: true, arrives: true, arrivals: [] };
  const time: Context['time'] = { trusted: true, arrive: () => {} };
  const send = (message: Message, notices: FrameNotices): boolean => {
    if (!link.takes) return false;
    sent.push(message);
    notices.handed?.();
    if (notices.arrived) link.arrivals.push(notices.arrived);
    if (link.arrives) for (const arrived of link.arrivals.splice(0)) queueMicrotask(arrived);
    return true;
  };
  const log = { ...silentLogger, info: (what: string, fields?: unknown) => void logged.push([what, fields]) };
  const trust: TimeTrust = {
    get isTrusted() {
      return time.trusted;
    },
    moment: () => (time.trusted ? { boot: '', mono: 0 } : { boot: 'boot-1', mono: clock.monotonic() }),
    onArrival: (listener) => {
      time.arrive = (boot, epoch) => {
        time.trusted = true;
        listener(boot, epoch);
      };
    },
  };
  const unanswered = new Unanswered({ clock, probe: (answered) => queueMicrotask(answered) });
  const make: Context['make'] = (config = {}) =>
    new Outbox({
      config: { maxBytes: 20_000_000, maxAge: 7 * 86_400, backfillQPS: 20, backfillBurst: 40, ...config },
      store,
      clock,
      time: trust,
      log,
      metrics,
      send,
      isIdle: () => link.idle,
      unanswered,
    });
  Object.assign(context, { clock, store, metrics, sent, link, logged, time, make, outbox: make() });
});
test.after.each(({ outbox, clock }) => {
  outbox.online(false);
  assert.is(clock.pending, 0, 'no timer is left');
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
const lost = (metrics: Metrics, of: Class, reason: string): number =>
  figure(metrics, `edgecore_outbox_dropped_total{class="${of}",reason="${reason}"}`);
const upload = (content: unknown, resource = 'site/user/a'): MessageDraft => ({
  source: 'bus',
  group: 'user',
  operation: 'upload',
  resource,
  content,
});
const event = (content: unknown): MessageDraft => draft(content, 'default/event/web.1');
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

test('what was put while the link was down goes when it returns: states, events, history', async ({
  outbox,
  store,
  sent,
  clock,
}) => {
  await outbox.put(null, upload(3));
  await outbox.put('a', draft(0));
  await outbox.put(null, upload(4));
  await outbox.put(null, event(2));
  await outbox.put('b', draft(1));
  assert.equal(sent, []);
  outbox.online(true);
  assert.equal(contents(sent), [0, 1, 2, 3, 4]);
  await clock.advance(0);
  assert.equal(kept(store), [0, 1], 'states wait for their answers');
});

test('of one subject the last state counts, entries without subject count each', async ({ outbox, sent }) => {
  await outbox.put('a', draft('old'));
  await outbox.put(null, draft('event'));
  await outbox.put(null, draft('event'));
  await outbox.put('a', draft('new'));
  outbox.online(true);
  assert.equal(contents(sent), ['new', 'event', 'event']);
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
  next.online(false);
});

test('an entry that is not answered is sent again, with the same id, ever more seldom, and is never given up', async ({
  outbox,
  store,
  sent,
  clock,
}) => {
  outbox.online(true);
  await outbox.put('a', draft(1));
  for (const [sends, wait] of [500, 500, 1000, 1000, 2000, 2000, 4000].entries()) {
    await clock.advance(wait - 1);
    assert.is(sent.length, sends + 1);
    await clock.advance(1);
    assert.is(sent.length, sends + 2);
  }
  assert.is(new Set(sent.map(({ header }) => header.msg_id)).size, 1);
  await clock.advance(minutes(60));
  const { length } = sent;
  await clock.advance(minutes(5));
  assert.is(sent.length, length + 1);
  assert.equal(kept(store), [1]);
  answer(outbox, sent[0], 'OK');
  assert.equal(kept(store), []);
  assert.is(clock.pending, 0);
});

test('entries that are not answered do not hold up the rest', async ({ outbox, sent, clock }) => {
  outbox.online(true);
  for (let i = 0; i < 40; i++) await outbox.put(`s${i}`, draft(i));
  assert.is(sent.length, 16);
  await clock.advance(seconds(4));
  assert.is(new Set(contents(sent)).size, 32);
  await clock.advance(seconds(4));
  assert.is(new Set(contents(sent)).size, 40);
});

test('an unanswered state that was overtaken on disk is not sent again: the newer one goes', async ({
  outbox,
  sent,
  clock,
}) => {
  outbox.online(true);
  await outbox.put('a', draft('old'));
  await outbox.put('a', draft('new'));
  assert.equal(contents(sent), ['old']);
  await clock.advance(500);
  assert.equal(contents(sent), ['old', 'new']);
  assert.is(answer(outbox, sent[0], 'OK'), undefined, 'an answer that is late');
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
  test(`after ${what} an entry waits 5, 10, 20, 40 s and longer, up to five minutes`, async ({
    outbox,
    store,
    sent,
    clock,
  }) => {
    outbox.online(true);
    await outbox.put('a', draft(1));
    for (const [tries, wait] of [5, 10, 20, 40, 80, 160, 300, 300].entries()) {
      answer(outbox, sent.at(-1), content, operation);
      await clock.advance(seconds(wait) - 1);
      assert.is(sent.length, tries + 1);
      await clock.advance(1);
      assert.is(sent.length, tries + 2);
    }
    assert.equal(kept(store), [1]);
    answer(outbox, sent.at(-1), 'OK');
    assert.equal(kept(store), []);
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

test('events and uploads of topics are never answered: done once sent', async ({
  outbox,
  store,
  sent,
  clock,
}) => {
  outbox.online(true);
  await outbox.put(null, draft('event', 'default/event/web.1'));
  await outbox.put(null, { ...draft('upload', 'a/user/b'), group: 'user', operation: 'upload' });
  assert.equal(contents(sent), ['event', 'upload']);
  await clock.advance(0);
  assert.equal(kept(store), []);
  assert.is(clock.pending, 0);
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

test('in a full box the oldest events go first, then the oldest history, states last', async ({
  make,
  store,
  metrics,
}) => {
  const outbox = make({ maxBytes: 10_000 });
  const large = 'x'.repeat(700);
  const put = (subject: string | null, message: MessageDraft): Promise<void> => outbox.put(subject, message);
  await put('s1', draft(`state ${large}`));
  for (let i = 0; i < 5; i++) await put(null, upload(`history ${i} ${large}`));
  for (let i = 0; i < 4; i++) await put(null, event(`event ${i} ${large}`));
  assert.is(store.rows.length, 10);
  const names = (): string[] => kept(store).map((content) => String(content).replace(` ${large}`, ''));
  await put(null, upload(`history 5 ${large}`));
  assert.equal(names(), [
    'state',
    ...[0, 1, 2, 3, 4].map((i) => `history ${i}`),
    ...[1, 2, 3].map((i) => `event ${i}`),
    'history 5',
  ]);
  for (let i = 6; i < 10; i++) await put(null, upload(`history ${i} ${large}`));
  assert.equal(names(), ['state', ...[1, 2, 3, 4, 5, 6, 7, 8, 9].map((i) => `history ${i}`)]);
  await put('s1', draft(`state again ${large}`));
  for (let i = 2; i < 12; i++) await put(`s${i}`, draft(`state ${i} ${large}`));
  assert.is(store.rows.length, 10);
  assert.ok(store.rows.every((row) => row.class === 'state'));
  assert.equal(
    [
      lost(metrics, 'event', 'full'),
      lost(metrics, 'history', 'full'),
      lost(metrics, 'state', 'full'),
      lost(metrics, 'state', 'superseded'),
    ],
    [4, 10, 1, 1],
  );
});

test('what is older than a week goes, and is counted by class', async ({ outbox, store, metrics, clock }) => {
  await outbox.put('old', draft('state'));
  await outbox.put(null, event('event'));
  await outbox.put(null, upload('history'));
  await clock.advance(minutes(7 * 1440));
  await outbox.put(null, upload('new'));
  assert.is(store.rows.length, 4, 'a week is allowed');
  await clock.advance(minutes(2));
  await outbox.put(null, upload('newer'));
  assert.equal(kept(store), ['new', 'newer']);
  for (const of of ['state', 'event', 'history'] as const) assert.is(lost(metrics, of, 'age'), 1);
});

test('a message that the cloud would not read is refused', async ({ outbox, store, metrics }) => {
  await outbox.put(null, upload('x'.repeat(2 * 1024 * 1024)));
  assert.is(store.rows.length, 0);
  assert.is(lost(metrics, 'history', 'size'), 1);
});

test('what is not worth keeping goes at once or not at all', ({ outbox, store, sent, link, metrics }) => {
  outbox.offer(upload(1));
  link.takes = false;
  outbox.offer(upload(2));
  assert.equal(contents(sent), [1]);
  assert.is(store.rows.length, 0);
  assert.is(lost(metrics, 'history', 'offline'), 1);
});

test('history that did not arrive before the link went is sent again, in order', async ({
  outbox,
  store,
  sent,
  link,
}) => {
  link.arrives = false;
  outbox.online(true);
  for (let i = 0; i < 4; i++) await outbox.put(null, upload(i));
  link.arrivals[0]?.();
  const late = link.arrivals[2];
  outbox.online(false);
  late?.();
  assert.equal(kept(store), [1, 2, 3], 'news of a former connection count no more');
  outbox.online(true);
  assert.equal(contents(sent), [0, 1, 2, 3, 1, 2, 3]);
});

test('the backlog of history waits for a link that is busy; states do not', async ({
  outbox,
  sent,
  link,
  clock,
}) => {
  for (let i = 0; i < 5; i++) await outbox.put(null, upload(i));
  link.idle = false;
  outbox.online(true);
  await outbox.put('a', draft('state'));
  assert.equal(contents(sent), ['state']);
  answer(outbox, sent[0], 'OK');
  await clock.advance(seconds(1));
  link.idle = true;
  await clock.advance(100);
  assert.equal(contents(sent), ['state', 0, 1, 2, 3, 4]);
});

test('what could not be written is not counted', async ({ outbox, store, metrics }) => {
  await outbox.put(null, upload(1));
  store.disk = Promise.reject(new Error('disk full'));
  const failed = outbox.put(null, upload(2)).catch((error: Error) => error.message);
  store.outbox.remove(2);
  assert.is(await failed, 'disk full');
  assert.is(figure(metrics, 'edgecore_outbox_entries{class="history"}'), 1);
});

test('one answer that comes twice settles one entry', async ({ outbox, sent, store }) => {
  outbox.online(true);
  await outbox.put('a', draft(1));
  answer(outbox, sent[0], 'OK');
  await outbox.put('a', draft(2));
  assert.is(answer(outbox, sent[0], 'OK'), undefined);
  assert.equal(kept(store), [2]);
});

test('an outage is told in one line', async ({ outbox, make, logged, clock }) => {
  outbox.online(true);
  outbox.online(true);
  assert.equal(logged, [], 'nothing waited');
  const small = make({ maxBytes: 1000 });
  small.online(true);
  small.online(false);
  for (let i = 0; i < 10; i++) await small.put(null, upload(i));
  await clock.advance(minutes(3));
  small.online(true);
  await clock.advance(minutes(1));
  small.online(false);
  const fields = { offlineMs: 180_000, waiting: { history: 4 }, bytes: 992, dropped: { 'history full': 6 } };
  assert.equal(logged, [['what waited for the cloud goes out', fields]]);
});

test('while the clock is wrong nothing is too old; when the time comes, each gets its own', async ({
  outbox,
  store,
  sent,
  time,
  clock,
}) => {
  time.trusted = false;
  await outbox.put(null, upload('first'));
  await clock.advance(minutes(10));
  await outbox.put(null, upload('second'));
  const epoch = Date.UTC(2031, 0, 1);
  time.arrive('boot-1', epoch);
  clock.jump(epoch + clock.monotonic() - clock.now());
  await outbox.put(null, upload('third'));
  assert.equal(
    store.rows.map(({ boot }) => boot),
    ['', '', ''],
  );
  outbox.online(true);
  assert.equal(
    sent.map(({ header }) => header.timestamp - epoch),
    [0, 600_000, 600_000],
  );
});

test('entries of a boot whose time never came keep their order and are not too old', async ({
  outbox,
  store,
  time,
  clock,
}) => {
  time.trusted = false;
  await outbox.put(null, upload('then'));
  time.arrive('boot-2', Date.UTC(2031, 0, 1));
  clock.jump(minutes(60 * 24 * 365));
  await clock.advance(minutes(2));
  await outbox.put(null, upload('now'));
  assert.equal(kept(store), ['then', 'now']);
});

test('a day without the cloud at 10 reports a second: bounded, in order, live values first', async ({
  outbox,
  store,
  metrics,
  sent,
  clock,
}) => {
  const DAY = 86_400;
  const SUBJECTS = 50;
  let largest = 0;
  // Of the ten, one is a state, one an event, eight are history.
  for (let second = 0; second < DAY; second++) {
    void outbox.put(`pod/default/p${second % SUBJECTS}#status`, draft(`state ${second}`));
    void outbox.put(null, event(`event ${second}`));
    for (let i = 0; i < 8; i++) void outbox.put(null, upload({ n: second * 8 + i, value: 21.5 }));
    largest = Math.max(largest, bytesOf(store));
    if (second % 10 === 9) await clock.advance(10_000);
  }
  assert.ok(largest <= 20_000_000, `${largest} bytes`);
  const of = (name: Class): Row[] => store.rows.filter((row) => row.class === name);
  const [states, events, history] = [of('state'), of('event'), of('history')];
  assert.is(states.length, SUBJECTS);
  assert.is(events.length, 0, 'events went before history was touched');
  assert.is(lost(metrics, 'event', 'full'), DAY);
  assert.is(lost(metrics, 'state', 'superseded'), DAY - SUBJECTS);
  assert.is(lost(metrics, 'state', 'full'), 0);
  assert.is(lost(metrics, 'history', 'full'), 8 * DAY - history.length);
  const numbers = history.map(({ message }) => ((JSON.parse(message) as Message).content as { n: number }).n);
  assert.equal([numbers[0], numbers.at(-1)], [8 * DAY - history.length, 8 * DAY - 1], 'the newest are here');
  assert.is(figure(metrics, 'edgecore_outbox_entries{class="history"}'), history.length);
  const largeEnough = store.rows.reduce((sum, { bytes }) => sum + bytes, 0);
  assert.ok(largeEnough > 19_990_000, 'no more was dropped than had to be');

  outbox.online(true);
  const start = clock.monotonic();
  answerStates(outbox, sent);
  await clock.advance(1000);
  const first = sent.filter(({ route }) => route.group === 'meta');
  assert.is(new Set(first.map(({ route }) => route.resource + String(route.operation))).size, 1);
  assert.is(first.length, SUBJECTS, 'all states are out within a second');
  for (let second = 0; second < 60; second++) {
    const before = sent.length;
    await outbox.put('live', draft(`live ${second}`));
    assert.is(
      sent.slice(before).some(({ content }) => content === `live ${second}`),
      true,
      'at once',
    );
    answerStates(outbox, sent);
    await clock.advance(1000);
  }
  const backfilled = sent.flatMap(({ route, content }) =>
    route.group === 'user' ? [(content as { n: number }).n] : [],
  );
  const rate = (backfilled.length - 40) / ((clock.monotonic() - start) / 1000);
  assert.ok(rate > 19 && rate <= 20, `${rate} a second`);
  assert.equal(backfilled, numbers.slice(0, backfilled.length), 'in order');
  process.stdout.write(
    `outage of a day: ${largest} bytes, ${history.length} of ${8 * DAY} history entries kept, backfill ${rate.toFixed(1)}/s\n`,
  );
});

function bytesOf({ outbox }: FakeStore): number {
  return outbox.totals().reduce((sum, { bytes }) => sum + bytes, 0);
}

/** The cloud answers every state that came. */
function answerStates(outbox: Outbox, sent: Message[]): void {
  for (let i = 0; i < sent.length; i++) {
    const message = sent[i];
    if (message?.route.group === 'meta') outbox.answered(replyTo(message, 'OK', 0));
  }
}

test.run();
