import type { Clock, Timer } from '../../runtime/core/clock.ts';
import { type Millis, millis } from '../../runtime/core/units.ts';
import type { WireError } from '../kit/wire-error.ts';
import type { SerialConnection } from './connection.ts';
import { type Cut, Framer, type Framing } from './framing.ts';

/** What came of a question. */
export type Answer =
  | { readonly kind: 'frame'; readonly bytes: Buffer }
  /** Something came, and no whole frame. */
  | { readonly kind: 'damaged'; readonly why: string }
  /** Frames came, and none was expected. */
  | { readonly kind: 'other'; readonly bytes: Buffer }
  | { readonly kind: 'silence' };

export type Ask = {
  readonly bytes: Buffer;
  readonly expect: RegExp | undefined;
  readonly timeout: Millis;
  /** Silence on the line before it is sent. */
  readonly pause: Millis;
};

/** What came beside the answer. */
type Seen = { other?: Buffer; damage?: string | undefined };

export type SessionDeps = {
  readonly connection: SerialConnection;
  readonly framing: Framing;
  readonly clock: Clock;
  /** Takes what nobody asked for; absent = the device speaks only when it is asked. */
  readonly heard?: (cuts: readonly Cut[]) => void;
};

/** After a damaged frame a whole one may follow, but not much later. */
const AFTER_DAMAGE = millis(50);

/** One device's side of an open line: its frames, and the question under way. */
export class Session {
  private readonly deps: SessionDeps;
  private readonly framer: Framer;
  private readonly stop: () => void;
  private asking: ((cut: Cut | 'bytes') => boolean) | undefined;
  private quiet: Timer | undefined;

  constructor(deps: SessionDeps) {
    this.deps = deps;
    this.framer = new Framer(deps.framing);
    this.framer.reset(deps.heard !== undefined);
    const stops = [
      deps.connection.onData((chunk) => this.take(chunk)),
      deps.connection.onLost(() => this.quiet?.cancel()),
    ];
    this.stop = () => stops.forEach((stop) => void stop());
    if (deps.heard) this.awaitSilence();
  }

  end(): void {
    this.quiet?.cancel();
    this.stop();
  }

  /** Sends a question and waits for its answer; one at a time.
   * @throws WireError `unreachable` when the port is lost meanwhile */
  async ask({ bytes, expect, timeout, pause }: Ask): Promise<Answer> {
    const { connection, clock, heard } = this.deps;
    await connection.settle(pause);
    // What came before belongs to another question.
    if (!heard) this.framer.reset(false);
    return new Promise((resolve, reject) => {
      const seen: Seen = {};
      const finish = (settle: () => void): void => {
        timer.cancel();
        stop();
        this.asking = undefined;
        if (!heard) this.quiet?.cancel();
        settle();
      };
      const late = (): void => finish(() => resolve(this.verdict(seen, timeout)));
      const deadline = clock.monotonic() + timeout;
      let timer = clock.after(timeout, late);
      this.asking = (cut) => {
        // What a device says unasked tells nothing of the question.
        if (cut === 'bytes')
          seen.damage ??= heard ? undefined : 'no whole frame came: do baudRate, parity and framing fit?';
        else if (cut.kind === 'damaged') {
          seen.damage = cut.why;
          timer.cancel();
          // A line that never falls silent must not keep the question for ever.
          const rest = Math.max(0, Math.min(AFTER_DAMAGE, deadline - clock.monotonic()));
          timer = clock.after(millis(rest), late);
        } else if (expect && !expect.test(cut.bytes.toString('latin1'))) {
          if (!heard) seen.other = cut.bytes;
          return false;
        } else finish(() => resolve(cut));
        return true;
      };
      const stop = connection.onLost((error: WireError) => queueMicrotask(() => finish(() => reject(error))));
      connection.send(bytes);
    });
  }

  private verdict(seen: Seen, timeout: Millis): Answer {
    if (seen.other) return { kind: 'other', bytes: seen.other };
    if (seen.damage !== undefined) return { kind: 'damaged', why: seen.damage };
    this.deps.connection.owe(timeout);
    return { kind: 'silence' };
  }

  private take(chunk: Buffer): void {
    if (!this.asking && !this.deps.heard) return;
    this.asking?.('bytes');
    this.deal(this.framer.push(chunk));
    this.awaitSilence();
  }

  private deal(cuts: readonly Cut[]): void {
    const unasked = cuts.filter((cut) => !this.asking?.(cut));
    if (unasked.length > 0) this.deps.heard?.(unasked);
  }

  private awaitSilence(): void {
    const { clock, framing } = this.deps;
    this.quiet?.cancel();
    const { quiet } = framing;
    if (quiet === undefined) return;
    const due = clock.monotonic() + quiet;
    this.quiet = clock.after(quiet, () => {
      // A process that was busy for so long has not looked whether something came.
      if (clock.monotonic() - due > quiet / 2) this.awaitSilence();
      else this.deal(this.framer.silence());
    });
  }
}
