import type { ISubackPacket, IUnsubackPacket } from 'mqtt-packet';
import type { Logger } from '../../core/log.ts';
import type { DurableSession } from '../durable-session.ts';
import type { QoS } from '../message.ts';
import type { RemoteConnection } from './remote-connection.ts';

/** Filters of one SUBSCRIBE. */
const MOST_AT_ONCE = 100;
const REFUSED = 0x80;

/** What the remote broker is asked for, and what of it it has granted. */
export class RemoteSubscriptions {
  private readonly session: DurableSession;
  private readonly log: Logger;
  private readonly wanted = new Map<string, QoS>();
  private readonly granted = new Set<string>();
  /** Filters that an answer is awaited for, by packet id. */
  private readonly asked = new Map<number, readonly string[]>();
  private connection: RemoteConnection | undefined;

  constructor(deps: { session: DurableSession; log: Logger }) {
    this.session = deps.session;
    this.log = deps.log;
  }

  want(filter: string, qos: QoS): void {
    this.wanted.set(filter, qos);
    if (this.connection) this.subscribe([filter]);
  }

  unwant(filter: string): void {
    this.wanted.delete(filter);
    this.granted.delete(filter);
    if (!this.connection) return;
    const messageId = this.ask([filter]);
    this.connection.send({ cmd: 'unsubscribe', messageId, unsubscriptions: [filter] });
  }

  /** A connection is up.
   * @param present the remote broker still has what it granted */
  connected(connection: RemoteConnection, present: boolean): void {
    this.connection = connection;
    if (!present) this.granted.clear();
    // Asked again for what is granted, a broker before MQTT 5 would send its retained messages again, which may be older
    // than what waits to be sent there.
    const missing = [...this.wanted.keys()].filter((filter) => !this.granted.has(filter));
    for (let at = 0; at < missing.length; at += MOST_AT_ONCE)
      this.subscribe(missing.slice(at, at + MOST_AT_ONCE));
  }

  lost(): void {
    this.connection = undefined;
    for (const id of this.asked.keys()) this.session.freeId(id);
    this.asked.clear();
  }

  /** @source MQTT 5 §3.9 */
  suback({ messageId = 0, granted }: ISubackPacket): void {
    for (const [i, filter] of this.answered(messageId).entries()) {
      const code = Number(granted[i] ?? REFUSED);
      if (code >= REFUSED)
        this.log.error('the remote broker refuses a subscription', { resource: filter, code });
      else if (this.wanted.has(filter)) this.granted.add(filter);
    }
  }

  unsuback({ messageId = 0 }: IUnsubackPacket): void {
    this.answered(messageId);
  }

  private subscribe(filters: readonly string[]): void {
    const messageId = this.ask(filters);
    // MQTT 5: not what the bridge itself has sent, retained marks as they are, retained messages only when it is new.
    const options = { nl: true, rap: true, rh: 1 };
    const subscriptions = filters.map((topic) => ({ topic, qos: this.wanted.get(topic) ?? 0, ...options }));
    this.connection?.send({ cmd: 'subscribe', messageId, subscriptions });
  }

  private ask(filters: readonly string[]): number {
    const id = this.session.reserveId();
    this.asked.set(id, filters);
    return id;
  }

  private answered(id: number): readonly string[] {
    const filters = this.asked.get(id) ?? [];
    this.asked.delete(id);
    this.session.freeId(id);
    return filters;
  }
}
