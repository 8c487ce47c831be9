import type { Clock, Timer } from '../core/clock.ts';
import { isRecord, type Message } from '../core/message.ts';
import { millis, minutes, seconds } from '../core/units.ts';
import type { FrameNotices } from '../wire/frame-writer.ts';
import type { Unanswered } from './unanswered.ts';

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
  readonly unanswered: Unanswered;
};

/** @property writes how often it was handed to the link; refusals are counted apart */
type Flight = StateRow & { writes: number; refusals: number; timer: Timer | undefined };

/** How many may wait for the cloud's answer at a time. */
const WINDOW = 16;
/** One that was sent this often, or refused, waits on by itself: it must not hold up the rest. */
const PROMPT = 5;
/** The wait after a first refusal; it doubles, so that an API server that is away is outlasted. */
const REFUSAL_WAIT = seconds(5);
const LONGEST_WAIT = minutes(5);
/** The wait when the link has no room. */
const ROOM_WAIT = seconds(1);

/** Brings states to the cloud, each until it is answered. Two of one subject are never under way together, so that an
 * older state cannot overtake a newer one. None is given up but for its age: it is the only word about its subject. */
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
    for (const flight of [...this.flights.values()]) this.land(flight);
    this.pump();
  }

  /** @returns the message that a reply answers, or undefined when it answers none of ours, or one answered already */
  answered(reply: Message): Message | undefined {
    const flight = this.flights.get(reply.header.parent_msg_id ?? '');
    // One that was refused waits; a second answer to what was sent before says nothing new.
    if (!flight || flight.timer) return undefined;
    this.land(flight);
    if (isTransient(reply)) this.postpone(flight);
    else this.deps.done(flight.seq);
    this.pump();
    return flight.message;
  }

  pump(): void {
    if (!this.up || this.again) return;
    const flying = [...this.flights.values()];
    const busy = new Set(flying.map(({ seq }) => seq));
    const subjects = new Set(flying.map(({ subject }) => ordering(subject)));
    let room = WINDOW - flying.filter(isPrompt).length;
    for (const row of this.deps.rows(2 * WINDOW + flying.length)) {
      if (room <= 0) return;
      if (busy.has(row.seq) || subjects.has(ordering(row.subject))) continue;
      if (!this.launch({ ...row, writes: 0, refusals: 0, timer: undefined })) return;
      subjects.add(ordering(row.subject));
      room--;
    }
  }

  private launch(flight: Flight): boolean {
    const { message } = flight;
    const id = message.header.msg_id;
    this.flights.set(id, flight);
    const isSent = this.deps.unanswered.start(id, (handed) => {
      // A newer state may have taken its place meanwhile: that one goes instead.
      if (!this.deps.has(flight.seq)) return this.overtaken(flight);
      if (++flight.writes === PROMPT) this.pump();
      return this.deps.send(message, { handed });
    });
    if (isSent) return true;
    this.flights.delete(id);
    this.again ??= this.deps.clock.after(ROOM_WAIT, () => {
      this.again = undefined;
      this.pump();
    });
    return false;
  }

  private overtaken(flight: Flight): true {
    this.land(flight);
    this.pump();
    return true;
  }

  /** Waits in flight, so that nothing of its subject overtakes it. */
  private postpone(flight: Flight): void {
    const wait = Math.min(REFUSAL_WAIT * 2 ** flight.refusals++, LONGEST_WAIT);
    flight.timer = this.deps.clock.after(millis(wait), () => {
      flight.timer = undefined;
      if (!this.deps.has(flight.seq)) this.overtaken(flight);
      else this.launch(flight);
    });
    this.flights.set(flight.message.header.msg_id, flight);
  }

  private land(flight: Flight): void {
    const id = flight.message.header.msg_id;
    flight.timer?.cancel();
    flight.timer = undefined;
    this.flights.delete(id);
    this.deps.unanswered.settled(id);
  }
}

function isPrompt({ writes, refusals }: Flight): boolean {
  return writes < PROMPT && refusals === 0;
}

/** Subjects that share what stands before `#` are sent one after the other: a pod's last status before its deletion. */
function ordering(subject: string): string {
  return subject.split('#', 1)[0] ?? subject;
}

/** Whether the same message may be taken another time; false when the answer is final, be it a refusal. */
function isTransient({ route, content }: Message): boolean {
  if (route.operation === 'error') return true;
  if (!isRecord(content)) return false;
  // A pod's deletion is refused with the bare error object, everything else within `Err`.
  const error = 'ErrStatus' in content ? content : content.Err;
  if (!isRecord(error)) return false;
  const status = isRecord(error.ErrStatus) ? error.ErrStatus : {};
  const code = Number(status.code ?? 0);
  return code < 400 || code >= 500 || code === 429;
}
