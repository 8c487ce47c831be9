import type { Clock } from '../../runtime/core/clock.ts';
import type { Sample } from './sample.ts';

/** An open way to a target. Every wait within has a limit of its own. */
export interface Channel {
  /** Brings samples to the target, in their order; resolves when it has confirmed all of them.
   * @throws PushError */
  send(samples: readonly Sample[], notes: Notes): Promise<void>;
  /** Lets go, whatever is under way. */
  close(): void;
}

/** What a target says while it takes samples. */
export interface Notes {
  /** The first `count` of them are confirmed, though more may fail. */
  confirmed(count: number): void;
  /** It will never take `count` of them, and does not say which. */
  rejected(count: number, why: string): void;
}

/** Secrets of a target; empty when there are none. */
export type Credentials = {
  readonly userName: string;
  readonly password: string;
  readonly token: string;
  /** PEM; undefined for those that Node.js knows. */
  readonly ca: string | undefined;
};

export type ChannelDeps = {
  readonly credentials: Credentials;
  readonly clock: Clock;
  /** The broker in this process. */
  readonly broker: LocalBroker;
};

/** The broker in this process, as far as values are pushed to it. */
export interface LocalBroker {
  /** Whether an address, `tcp://127.0.0.1:1883` for instance, is this broker's own. */
  isAt(address: string): boolean;
  /** Resolves when every session that waits for it has it on disk. */
  publish(message: { topic: string; payload: Buffer; qos: 0 | 1 | 2; retain: boolean }): Promise<void>;
}

/** Why samples were not confirmed. `away`: later perhaps, and an operator may have to do something; `refused`: the target
 * will not take a sample like this, now or later. */
export class PushError extends Error {
  readonly kind: 'away' | 'refused';

  constructor(kind: 'away' | 'refused', message: string) {
    super(message);
    this.name = 'PushError';
    this.kind = kind;
  }
}

/** What an operator does about a connection that fails. @param address `host:port` or a URL */
export function connectFault(address: string, error: unknown): PushError {
  if (error instanceof PushError) return error;
  const text = error instanceof Error && error.message ? error.message : String(error);
  return new PushError('away', `${text}: check that ${address} is right, runs, and may be reached from here`);
}
