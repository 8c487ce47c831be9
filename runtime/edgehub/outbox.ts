import type { Clock } from '../core/clock.ts';
import type { Logger } from '../core/log.ts';
import { type Message, type MessageDraft, newMessage } from '../core/message.ts';
import type { MetricSource } from '../core/metrics.ts';
import type { TimeTrust } from '../core/time-trust.ts';
import { mebibytes, minutes, seconds } from '../core/units.ts';
import type { FrameNotices } from '../wire/frame-writer.ts';
import { Backfill } from './backfill.ts';
import type { EdgeHubConfig } from './config.ts';
import { type DropReason, OutboxFigures } from './outbox-figures.ts';
import { OutboxStates, type StateRow } from './outbox-states.ts';
import type { Unanswered } from './unanswered.ts';

export type OutboxClass = 'state' | 'event' | 'history';

/** What stands in the table. */
export type OutboxEntry = {
  readonly class: OutboxClass;
  readonly subject: string | null;
  readonly message: string;
  readonly bytes: number;
  readonly created: number;
  readonly boot: string;
  readonly mono: number;
};

type Row = OutboxEntry & { readonly seq: number };

/** The part of the store that the outbox uses. */
export interface OutboxStore {
  durable(work: () => void): Promise<void>;
  lazy(work: () => void): void;
  readonly outbox: {
    add(entry: OutboxEntry): number | undefined;
    list(of: OutboxClass, after: number, limit: number): Row[];
    has(seq: number): boolean;
    remove(seq: number): number | undefined;
    restamp(boot: string, epoch: number): void;
    totals(): readonly { readonly class: OutboxClass; readonly count: number; readonly bytes: number }[];
  };
}

export type OutboxDeps = {
  readonly config: EdgeHubConfig['outbox'];
  readonly store: OutboxStore;
  readonly clock: Clock;
  readonly time: TimeTrust;
  readonly log: Logger;
  readonly metrics: MetricSource;
  /** Hands a message to the link; false when it takes none now. */
  readonly send: (message: Message, notices: FrameNotices) => boolean;
  /** Whether nothing waits for the link. */
  readonly isIdle: () => boolean;
  readonly unanswered: Unanswered;
};

/** A row's columns beside its message. */
const ROW_BYTES = 64;
const LARGEST_MESSAGE = mebibytes(2);
/** How often ages are looked at. */
const AGE_CHECK = minutes(1);
/** What gives way first when the box is full. States come last: each is the only word about its subject. */
const YIELDING = ['event', 'history', 'state'] as const;

/** What must reach the cloud and would die with the process: stored first, sent when there is a link, forgotten when the
 * cloud has it.
 *
 * Three classes. Of `state` the last value of a subject counts, an earlier one gives way to it. `history` and `event` count
 * each; when the box is full the oldest events go, then the oldest history. What is older than the limit goes, too.
 *
 * Twins are not here: devicetwin keeps their last values, with a mark whether the cloud has them. */
export class Outbox {
  private readonly deps: OutboxDeps;
  private readonly figures: OutboxFigures;
  private readonly states: OutboxStates;
  private readonly backfill: Backfill;
  private agesSeen: number;

  constructor(deps: OutboxDeps) {
    this.deps = deps;
    const { store, clock, metrics, log, config } = deps;
    this.figures = new OutboxFigures({ totals: store.outbox.totals(), clock, metrics, log });
    this.agesSeen = clock.monotonic() - AGE_CHECK;
    this.states = new OutboxStates({
      clock,
      send: deps.send,
      rows: (limit) => store.outbox.list('state', 0, limit).map(stateRow),
      has: (seq) => store.outbox.has(seq),
      done: (seq) => this.forget('state', seq),
      unanswered: deps.unanswered,
    });
    this.backfill = new Backfill({
      clock,
      rate: config.backfillQPS,
      burst: config.backfillBurst,
      send: deps.send,
      isIdle: deps.isIdle,
      next: (of, after) => store.outbox.list(of, after, 1).map(entryOf)[0],
      arrived: (of, seq) => this.forget(of, seq),
    });
    deps.time.onArrival((boot, epoch) => this.restamp(boot, epoch));
  }

  /** Stores a message for the cloud and sends it when its turn comes.
   * @param subject what it is the state of; null when every message counts
   * @returns resolves once it is on disk */
  async put(subject: string | null, draft: MessageDraft): Promise<void> {
    const { store, clock, time, log } = this.deps;
    const of = classOf(subject, draft);
    const message = JSON.stringify(newMessage(draft, clock.now()));
    const bytes = Buffer.byteLength(message) + ROW_BYTES;
    if (bytes > LARGEST_MESSAGE) {
      log.warn('a message is too large for the cloud', { resource: draft.resource, bytes });
      return this.figures.dropped(of, 'size');
    }
    const stored = store.durable(() => {
      const entry = { class: of, subject, message, bytes, created: clock.now(), ...time.moment() };
      const superseded = store.outbox.add(entry);
      this.figures.added(of, bytes);
      if (superseded !== undefined) this.figures.lost(of, superseded, 'superseded');
      this.expire();
      this.trim();
    });
    await stored.catch((error: unknown) => {
      // The batch was rolled back, with whatever gave way in it.
      this.figures.recount(store.outbox.totals());
      throw error;
    });
    if (of === 'state') this.states.pump();
    else this.backfill.pump();
  }

  /** Sends a message that is not worth keeping, if there is a link with room. */
  offer(draft: MessageDraft): void {
    const { clock, send } = this.deps;
    if (!send(newMessage(draft, clock.now()), {})) this.figures.dropped(classOf(null, draft), 'offline');
  }

  /** The link came up or went. */
  online(up: boolean): void {
    if (up) this.deps.store.lazy(() => this.expire());
    this.figures.online(up);
    this.states.online(up);
    this.backfill.online(up);
  }

  /** Takes the cloud's answer to an entry; one that comes twice answers nothing the second time.
   * @returns the message that it answers, or undefined when it answers none of ours */
  answered(reply: Message): Message | undefined {
    return this.states.answered(reply);
  }

  private restamp(boot: string, epoch: number): void {
    this.deps.store.lazy(() => this.deps.store.outbox.restamp(boot, epoch));
  }

  /** Lazily: an entry that comes back after a power cut is sent twice, and the cloud's side of it is idempotent. */
  private forget(of: OutboxClass, seq: number): void {
    const { store } = this.deps;
    store.lazy(() => this.figures.gone(of, store.outbox.remove(seq)));
  }

  private drop(of: OutboxClass, seq: number, reason: DropReason): void {
    const bytes = this.deps.store.outbox.remove(seq);
    if (bytes !== undefined) this.figures.lost(of, bytes, reason);
  }

  private trim(): void {
    const { store, config } = this.deps;
    for (const of of YIELDING) {
      while (this.figures.bytes > config.maxBytes) {
        const [oldest] = store.outbox.list(of, 0, 1);
        if (!oldest) break;
        this.drop(of, oldest.seq, 'full');
      }
    }
  }

  /** Ages mean nothing while the clock is wrong, nor those of a boot whose time never came. */
  private expire(): void {
    const { store, clock, time, config } = this.deps;
    const now = clock.monotonic();
    if (!time.isTrusted || now - this.agesSeen < AGE_CHECK) return;
    this.agesSeen = now;
    const limit = clock.now() - seconds(config.maxAge);
    for (const of of YIELDING) {
      for (;;) {
        const [oldest] = store.outbox.list(of, 0, 1);
        if (oldest?.boot !== '' || oldest.created >= limit) break;
        this.drop(of, oldest.seq, 'age');
      }
    }
  }
}

function classOf(subject: string | null, { group }: MessageDraft): OutboxClass {
  if (subject !== null) return 'state';
  return group === 'user' ? 'history' : 'event';
}

/** A message says when it was made, as far as that is known by now. */
function entryOf({ seq, message, created }: Row): { seq: number; message: Message } {
  const { header, ...rest } = JSON.parse(message) as Message;
  return { seq, message: { header: { ...header, timestamp: created }, ...rest } };
}

function stateRow(row: Row): StateRow {
  return { ...entryOf(row), subject: row.subject ?? '' };
}
