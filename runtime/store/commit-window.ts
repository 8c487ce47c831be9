/** A first write that is waited for takes this much company along, ms. */
const SHORT = 4;
/** Under a lasting load syncs are this far apart, ms: a little more than four a second. */
const PACE = 232;
/** So soon after an answer comes what was caused by it, ms. */
const REPLY = 60;
/** Who answers answers has had time for it after this silence, ms. */
const SILENCE = 80;
/** Commits without pace after a rest, and after a wait that brought no company. */
const FIRST_CREDIT = 8;
const MOST_CREDIT = 256;
const REST = 1000;
/** What ends any wait. */
const MOST_WAITING = 256;
const MOST_BYTES = 64 * 1024;

/** Decides when a batch is committed, without a clock of its own.
 *
 * A sync costs the flash at least a page, however little is written, so a lasting load is committed every
 * {@link PACE} ms. Waiting must bring company, though: a publisher that sends its next message when the last was answered
 * would only be slowed down. It shows by silence after its message, and is then let through without pace for a while.
 * Whatever waits in large numbers is committed at once. */
export class CommitWindow {
  private firstAt: number | undefined;
  private lastAt = 0;
  private count = 0;
  private bytes = 0;
  /** When the last batch was taken, and when it was answered. */
  private takenAt = Number.NEGATIVE_INFINITY;
  private answeredAt = Number.NEGATIVE_INFINITY;
  private credit = FIRST_CREDIT;
  private grant = FIRST_CREDIT;
  /** Whether the credit is for who answers answers. */
  private isGranted = false;

  /** Somebody waits for what was just written. */
  arrived(now: number, bytes: number): void {
    if (this.firstAt === undefined) {
      this.firstAt = now;
      if (now - this.takenAt >= REST) {
        this.credit = this.grant = FIRST_CREDIT;
        this.isGranted = false;
      } else if (this.isGranted && !this.mayBeReply(now)) this.credit = 0;
    }
    this.lastAt = now;
    this.count++;
    this.bytes += bytes;
  }

  /** @returns when the batch is to be committed; undefined while nobody waits */
  get dueAt(): number | undefined {
    const { firstAt } = this;
    if (firstAt === undefined) return undefined;
    if (this.isFull) return this.lastAt;
    const short = firstAt + SHORT;
    const paced = this.takenAt + PACE;
    if (this.credit > 0 || paced <= short) return short;
    return this.mayBeReply(firstAt) ? Math.min(paced, Math.max(short, this.lastAt + SILENCE)) : paced;
  }

  /** The batch is being committed. */
  taken(now: number): void {
    const { firstAt } = this;
    if (firstAt === undefined) return;
    this.learn(now, firstAt);
    this.takenAt = now;
    this.firstAt = undefined;
    this.count = 0;
    this.bytes = 0;
  }

  /** Its answers leave. */
  answered(now: number): void {
    this.answeredAt = now;
  }

  private get isFull(): boolean {
    return this.count >= MOST_WAITING || this.bytes >= MOST_BYTES;
  }

  private mayBeReply(firstAt: number): boolean {
    return firstAt >= this.answeredAt && firstAt - this.answeredAt <= REPLY;
  }

  private learn(now: number, firstAt: number): void {
    if (this.credit > 0) this.credit--;
    else if (this.isFull || now >= this.takenAt + PACE) this.grant = FIRST_CREDIT;
    else if (this.mayBeReply(firstAt)) {
      this.credit = this.grant;
      this.isGranted = true;
      this.grant = Math.min(this.grant * 2, MOST_CREDIT);
    }
  }
}
