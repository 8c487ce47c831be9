import type { Duplex } from 'node:stream';
import type { Logger } from '../../core/log.ts';
import type { Counter } from '../../core/metrics.ts';
import { bytes } from '../../core/units.ts';
import type { Peer } from '../peer.ts';
import type { ListenerDeps, ListenerRules } from './listener.ts';

/** What a listener itself knows of a client. */
export type Arrival = Pick<Peer, 'address' | 'local' | 'certificateName'>;

/** Counts who comes in by one listener and who is inside, and turns away what its rules do not allow. */
export class Door {
  private readonly name: string;
  private readonly rules: ListenerRules;
  private readonly clock: ListenerDeps['clock'];
  private readonly log: Logger;
  private readonly refused: Counter;
  /** Without an accepted CONNECT, oldest first. */
  private readonly pending = new Set<Duplex>();
  private readonly inside = new Set<Duplex>();
  private readonly whenEmpty: (() => void)[] = [];
  private tokens: number;
  private filled: number;

  constructor(name: string, rules: ListenerRules, deps: ListenerDeps) {
    this.name = name;
    this.rules = rules;
    this.clock = deps.clock;
    this.log = deps.log.child('broker');
    this.tokens = rules.connectionBurst;
    this.filled = deps.clock.monotonic();
    const labels = { listener: name };
    const help = 'Connections that a listener turned away.';
    this.refused = deps.metrics.counter('edgecore_mqtt_connections_refused_total', help, labels);
    deps.metrics.gauge(
      'edgecore_mqtt_listener_connections',
      'MQTT clients of a listener.',
      () => this.inside.size,
      labels,
    );
  }

  /** Decides about one more connection, which counts in the rate.
   * @returns why it is turned away */
  refusal(): string | undefined {
    const { maxConnections, connectionsPerSecond, connectionBurst } = this.rules;
    const now = this.clock.monotonic();
    const grown = this.tokens + ((now - this.filled) / 1000) * connectionsPerSecond;
    this.tokens = Math.min(connectionBurst, grown);
    this.filled = now;
    if (this.inside.size >= maxConnections) return this.turnedAway(`${maxConnections} clients are connected`);
    if (this.tokens < 1) return this.turnedAway(`more than ${connectionsPerSecond} new connections a second`);
    this.tokens--;
    return undefined;
  }

  /** Takes in a connection that was not refused. When too many have yet to say CONNECT, the one that has waited longest
   * gives way: who holds connections open and says nothing cannot lock out those who speak at once. */
  enter(stream: Duplex): void {
    const { maxConnections, maxPending } = this.rules;
    const room = Math.min(maxPending, Math.max(1, maxConnections - this.inside.size));
    for (const oldest of this.pending) {
      if (this.pending.size < room) break;
      this.pending.delete(oldest);
      oldest.destroy();
      this.turnedAway(`${room} connections wait without CONNECT`);
    }
    this.pending.add(stream);
    stream.once('close', () => this.left(stream));
  }

  /** Both in one, for a stream that can be cut without a word. */
  take(stream: Duplex): boolean {
    if (this.refusal() !== undefined) {
      stream.destroy();
      return false;
    }
    this.enter(stream);
    return true;
  }

  /** Says of a client what the rules say. @param stream the one that entered */
  peer(stream: Duplex, arrival: Arrival): Peer {
    const { allowAnonymous, packetBytes } = this.rules;
    return {
      ...arrival,
      ...(allowAnonymous === undefined ? {} : { allowAnonymous }),
      ...(packetBytes === undefined ? {} : { packetBytes: bytes(packetBytes) }),
      accepted: () => {
        if (this.pending.delete(stream)) this.inside.add(stream);
      },
    };
  }

  /** Drops who has not said CONNECT; resolves when everybody has gone. */
  async close(): Promise<void> {
    for (const stream of this.pending) stream.destroy();
    if (this.pending.size + this.inside.size > 0)
      await new Promise<void>((resolve) => this.whenEmpty.push(resolve));
  }

  private left(stream: Duplex): void {
    this.pending.delete(stream);
    this.inside.delete(stream);
    if (this.pending.size + this.inside.size === 0) for (const resolve of this.whenEmpty.splice(0)) resolve();
  }

  private turnedAway(reason: string): string {
    this.refused.add();
    this.log.warn('a listener turns connections away', { listener: this.name, reason });
    return reason;
  }
}
