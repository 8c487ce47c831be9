import { createHash } from 'node:crypto';

/** How long an echo may take. */
const PATIENCE = 30_000;
const MOST = 1000;

/** Knows a bridge's own messages when a broker sends them back that cannot be told not to: one of MQTT 3.1.1 that does not
 * know bridges. Each message that was sent stops one with the same topic and payload. */
export class EchoFilter {
  private readonly sentAt = new Map<string, number[]>();
  private count = 0;

  /** @param now monotonic ms */
  sent(topic: string, payload: Buffer, now: number): void {
    const mark = markOf(topic, payload);
    const times = this.sentAt.get(mark);
    if (times) times.push(now);
    else this.sentAt.set(mark, [now]);
    this.count++;
    this.forget(now);
  }

  /** @returns whether this is a message of ours, which then counts as back */
  isEcho(topic: string, payload: Buffer, now: number): boolean {
    this.forget(now);
    const mark = markOf(topic, payload);
    const times = this.sentAt.get(mark);
    if (!times) return false;
    this.remove(mark, times);
    return true;
  }

  /** Marks lie about in the order of their messages: what is too old, or too much, goes from the front. */
  private forget(now: number): void {
    for (const [mark, times] of this.sentAt) {
      if (this.count <= MOST && now - (times[0] ?? now) < PATIENCE) return;
      this.remove(mark, times);
    }
  }

  private remove(mark: string, times: number[]): void {
    times.shift();
    this.count--;
    if (times.length === 0) this.sentAt.delete(mark);
  }
}

function markOf(topic: string, payload: Buffer): string {
  return createHash('sha256').update(topic).update('\0').update(payload).digest('base64');
}
