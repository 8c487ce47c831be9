import type { Clock, Timer } from '../core/clock.ts';
import { isRecord, type Message } from '../core/message.ts';
import { millis, seconds } from '../core/units.ts';
import type { FrameNotices } from '../wire/frame-writer.ts';

/** A state that waits in the store. */
export type StateRow = { readonly seq: number; readonly subject: string; readonly message: Message };

export type StatesDeps = {
  readonly clock: Clock;
  /** Hands a message to the link; false when it takes none now. */
  readonly send: (message: Message, notices: FrameNotices) => boolean;
  readonly rows: (limit: number) => readonly StateRow[];
  /** Whether it is still the last word about its subject. */
  readonly has: (seq: number) => boolean;
  /** The cloud has it, or has refused it for good. */
  readonly done: (seq: number) => void;
  /** It was sent often and the cloud does not take it. */
  readonly givenUp: (row: StateRow, reason: string) => void;
};

type Flight = StateRow & { attempts: number; timer: Timer | undefined };

/** How many may wait for the cloud's answer at a time. */
const WINDOW = 16;
/** From when the link has taken it. */
const ANSWER_TIMEOUT = seconds(20);
/** An entry that was refused or left unanswered this often on a working link is given up: it must not hold up the rest. */
const ATTEMPTS = 5;
/** The wait after a first refusal; it doubles, so that an API server that restarts is outlasted. */
const REFUSAL_WAIT = seconds(5);
/** The wait when the link has no room. */
const ROOM_WAIT = seconds(1);

/** Brings states to the cloud, each until it is answered. Two of one subject are never under way together, so that an
 * older state cannot overtake a newer one. */
export class OutboxStates {
  private readonly deps: StatesDeps;
  private readonly flights = new Map<string, Flight>();
  private again: Timer | undefined;
  private up = false;

  constructor(deps: StatesDeps) {
    this.deps = deps;
  }

  /** Unanswered ones are sent again on the next link. */
  online(up: boolean): void {
    this.up = up;
    this.again?.cancel();
    this.again = undefined;
    for (const flight of this.flights.values()) flight.timer?.cancel();
    this.flights.clear();
    this.pump();
  }

  /** @returns the message that a reply answers, or undefined when it answers none of ours, or one answered already */
  answered(reply: Message): Message | undefined {
    const flight = this.flights.get(reply.header.parent_msg_id ?? '');
    if (!flight) return undefined;
    this.land(flight);
    const failure = transientFailure(reply);
    if (failure) this.postpone(flight, failure);
    else this.deps.done(flight.seq);
    this.pump();
    return flight.message;
  }

  pump(): void {
    if (!this.up || this.again) return;
    const flying = [...this.flights.values()];
    const busy = new Set(flying.map(({ seq }) => seq));
    const subjects = new Set(flying.map(({ subject }) => ordering(subject)));
    for (const row of this.deps.rows(2 * WINDOW)) {
      if (this.flights.size >= WINDOW) return;
      if (busy.has(row.seq) || subjects.has(ordering(row.subject))) continue;
      if (!this.launch(row, 0)) return;
      subjects.add(ordering(row.subject));
    }
  }

  private launch(row: StateRow, attempts: number): boolean {
    const flight: Flight = { ...row, attempts: attempts + 1, timer: undefined };
    const id = row.message.header.msg_id;
    this.flights.set(id, flight);
    const handed = (): void => {
      if (this.flights.get(id) === flight)
        flight.timer ??= this.deps.clock.after(ANSWER_TIMEOUT, () => this.retry(flight, 'no answer'));
    };
    if (this.deps.send(row.message, { handed })) return true;
    this.flights.delete(id);
    this.again ??= this.deps.clock.after(ROOM_WAIT, () => {
      this.again = undefined;
      this.pump();
    });
    return false;
  }

  private retry(flight: Flight, why: string): void {
    this.land(flight);
    if (flight.attempts >= ATTEMPTS) this.deps.givenUp(flight, why);
    // A newer state may have taken its place meanwhile: that one goes instead.
    else if (this.deps.has(flight.seq)) this.launch(flight, flight.attempts);
    this.pump();
  }

  /** Waits in flight, so that nothing of its subject overtakes it. */
  private postpone(flight: Flight, why: string): void {
    if (flight.attempts >= ATTEMPTS) return this.deps.givenUp(flight, why);
    const wait = millis(REFUSAL_WAIT * 2 ** (flight.attempts - 1));
    flight.timer = this.deps.clock.after(wait, () => this.retry(flight, why));
    this.flights.set(flight.message.header.msg_id, flight);
  }

  private land(flight: Flight): void {
    flight.timer?.cancel();
    flight.timer = undefined;
    this.flights.delete(flight.message.header.msg_id);
  }
}

/** Subjects that share what stands before `#` are sent one after the other: a pod's last status before its deletion. */
function ordering(subject: string): string {
  return subject.split('#', 1)[0] ?? subject;
}

/** Why the same message may be taken another time; undefined when the answer is final, be it a refusal. */
function transientFailure({ route, content }: Message): string | undefined {
  if (route.operation === 'error') return String(content);
  if (!isRecord(content)) return undefined;
  // A pod's deletion is refused with the bare error object, everything else within `Err`.
  const error = 'ErrStatus' in content ? content : content.Err;
  if (!isRecord(error)) return undefined;
  const status = isRecord(error.ErrStatus) ? error.ErrStatus : {};
  const code = Number(status.code ?? 0);
  return code >= 400 && code < 500 && code !== 429 ? undefined : String(status.message ?? 'failed');
}
