import type { Clock, Timer } from '../core/clock.ts';
import { type Millis, millis } from '../core/units.ts';
import type { Message } from './message.ts';
import type { BrokerStore } from './persistence.ts';
import { decodeRecords, encodeRecord } from './record.ts';
import type { Session, Will } from './session.ts';

export type WillsDeps = {
  readonly store: BrokerStore;
  readonly clock: Clock;
  readonly publish: (message: Message) => void;
  /** Longest life of a session without connection; no will waits longer. */
  readonly longest: Millis;
  /** Seconds that the client's session outlives its connection. */
  readonly lifeOf: (clientId: string) => number;
};

/** setTimeout's longest wait. */
const LONGEST_TIMER = 2 ** 31 - 1;

/** Wills of connected clients and of those whose delay runs; they are kept, because a power cut takes all clients along.
 * @source MQTT 5 §3.1.2.5, §3.1.3.2.2 */
export class Wills {
  private readonly deps: WillsDeps;
  private readonly delayed = new Map<string, { readonly will: Will; timer: Timer }>();

  constructor(deps: WillsDeps) {
    this.deps = deps;
  }

  /** The client is connected: an earlier will of it is void. [MQTT-3.1.3-9] */
  connected(session: Session, will: Will | undefined): void {
    const { clientId } = session;
    const { store } = this.deps;
    const hadOne = session.will !== undefined || this.delayed.has(clientId);
    this.delayed.get(clientId)?.timer.cancel();
    this.delayed.delete(clientId);
    session.will = will;
    if (will) {
      const row = { clientId, delay: this.delayOf(will, session), message: encodeWill(will) };
      store.lazy(() => store.rows.putWill(row));
    } else if (hadOne) store.lazy(() => store.rows.removeWill(clientId));
  }

  /** DISCONNECT: the will is dropped. [MQTT-3.14.4-3] */
  drop(session: Session): void {
    if (!session.will) return;
    session.will = undefined;
    this.forget(session.clientId);
  }

  /** The connection ended: the will is published at the delay's end or the session's, whichever comes first. */
  left(session: Session): void {
    const { will, clientId } = session;
    session.will = undefined;
    if (will) this.publishAfter(clientId, will, this.delayOf(will, session) * 1000);
  }

  /** The session ends, because the client wants another one: its will waits no longer. [MQTT-3.1.2-8] */
  sessionEnded(clientId: string): void {
    const waiting = this.delayed.get(clientId);
    if (!waiting) return;
    waiting.timer.cancel();
    this.publishNow(clientId, waiting.will);
  }

  /** Publishes the wills of the clients that the end of the last process cut off. */
  load(): void {
    for (const { clientId, delay, message } of this.deps.store.rows.wills()) {
      const will = decodeWill(message, delay);
      if (will) this.publishAfter(clientId, will, Math.min(delay, this.deps.lifeOf(clientId)) * 1000);
    }
  }

  stop(): void {
    for (const { timer } of this.delayed.values()) timer.cancel();
  }

  private publishAfter(clientId: string, will: Will, wait: number): void {
    if (wait === 0) return this.publishNow(clientId, will);
    const turn = Math.min(wait, LONGEST_TIMER);
    const timer = this.deps.clock.after(millis(turn), () => this.publishAfter(clientId, will, wait - turn));
    this.delayed.set(clientId, { will, timer });
  }

  private publishNow(clientId: string, { message, expirySeconds }: Will): void {
    this.delayed.delete(clientId);
    const expiresAt =
      expirySeconds === undefined ? undefined : this.deps.clock.monotonic() + expirySeconds * 1000;
    this.deps.publish({ ...message, expiresAt });
    this.forget(clientId);
  }

  /** In seconds; a session that ends takes no will along. */
  private delayOf({ delaySeconds }: Will, { expirySeconds }: Session): number {
    return Math.min(delaySeconds, expirySeconds, this.deps.longest / 1000);
  }

  private forget(clientId: string): void {
    const { store } = this.deps;
    store.lazy(() => store.rows.removeWill(clientId));
  }
}

/** A record whose expiry is counted from 0, since nobody knows when the will is published. */
function encodeWill({ message, expirySeconds }: Will): Buffer {
  const expiresAt = expirySeconds === undefined ? undefined : expirySeconds * 1000;
  return encodeRecord({ seq: 0, message: { ...message, expiresAt }, targets: [] }, 0);
}

function decodeWill(bytes: Uint8Array, delaySeconds: number): Will | undefined {
  const [record] = decodeRecords(bytes, 0);
  if (!record) return undefined;
  const { expiresAt, ...message } = record.message;
  const expirySeconds = expiresAt === undefined ? undefined : expiresAt / 1000;
  return { message: { ...message, expiresAt: undefined }, delaySeconds, expirySeconds };
}
