import type { Clock, Timer } from '../core/clock.ts';
import { millis } from '../core/units.ts';
import type { Message } from './message.ts';
import type { BrokerStore } from './persistence.ts';
import { decodeRecords, encodeRecord } from './record.ts';
import type { Session, Will } from './session.ts';

export type WillsDeps = {
  readonly store: BrokerStore;
  readonly clock: Clock;
  readonly publish: (message: Message) => void;
  /** Seconds that the client's session outlives its connection. */
  readonly lifeOf: (clientId: string) => number;
  /** ms since epoch minus monotonic ms. */
  readonly epoch: () => number;
};

/** Wills of connected clients and of those whose delay runs; they are kept, because a power cut takes all clients along.
 * @source MQTT 5 §3.1.2.5, §3.1.3.2.2 */
export class Wills {
  private readonly deps: WillsDeps;
  private readonly delayed = new Map<string, Timer>();

  constructor(deps: WillsDeps) {
    this.deps = deps;
  }

  /** The client is connected: an earlier will of it is void. [MQTT-3.1.3-9] */
  connected(session: Session, will: Will | undefined): void {
    const { clientId } = session;
    const { store, epoch } = this.deps;
    const hadOne = session.will !== undefined || this.delayed.has(clientId);
    this.delayed.get(clientId)?.cancel();
    this.delayed.delete(clientId);
    session.will = will;
    if (will) {
      const message = encodeRecord({ seq: 0, message: will.message, targets: [] }, epoch());
      store.lazy(() => store.rows.putWill({ clientId, delay: will.delaySeconds, message }));
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
    if (will) this.publishAfter(clientId, will.message, Math.min(will.delaySeconds, session.expirySeconds));
  }

  /** Publishes the wills of the clients that the end of the last process cut off. */
  load(): void {
    for (const { clientId, delay, message } of this.deps.store.rows.wills()) {
      const [record] = decodeRecords(message, this.deps.epoch());
      if (record) this.publishAfter(clientId, record.message, Math.min(delay, this.deps.lifeOf(clientId)));
    }
  }

  stop(): void {
    for (const timer of this.delayed.values()) timer.cancel();
  }

  private publishAfter(clientId: string, message: Message, seconds: number): void {
    const publish = (): void => {
      this.delayed.delete(clientId);
      this.deps.publish(message);
      this.forget(clientId);
    };
    if (seconds === 0) return publish();
    this.delayed.set(clientId, this.deps.clock.after(millis(Math.min(seconds * 1000, 2 ** 31 - 1)), publish));
  }

  private forget(clientId: string): void {
    const { store } = this.deps;
    store.lazy(() => store.rows.removeWill(clientId));
  }
}
