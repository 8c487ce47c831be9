/** A session as it is kept. */
export type SessionRow = {
  /** Number that stands for the client id in other rows. */
  readonly sid: number;
  readonly clientId: string;
  readonly username: string | null;
  /** Seconds that it outlives its connection; -1 for ever. */
  readonly expiry: number;
  /** ms since epoch when its connection ended; 0 while there is one. */
  readonly leftAt: number;
  /** Everything for it before this message is done. */
  readonly cursor: number;
};

/** A subscription, its options as JSON. */
export type SubscriptionRow = { readonly sid: number; readonly filter: string; readonly options: string };

/** A QoS 2 message on its way to a client: its packet id must be the same after a restart. */
export type OutgoingRow = {
  readonly sid: number;
  readonly seq: number;
  readonly packetId: number;
  readonly state: 'sent' | 'released' | 'done';
};

/** Messages of one commit, by the number of the first. */
export type BatchRow = { readonly first: number; readonly body: Uint8Array };

export type WillRow = { readonly clientId: string; readonly delay: number; readonly message: Uint8Array };

/** Where the broker keeps what must outlive the process. Every method of `rows` runs inside a write of the store. */
export interface BrokerStore {
  /** So long a client has for its acknowledgement before a commit writes the message for it, ms; 0 where commits cost nothing.
   * Most need no more, and what is written for a client that is about to have it is written, synced and removed for
   * nothing. */
  readonly patience: number;
  /** @returns resolves once `work` is on disk; rejects when it cannot be */
  durable(work: () => void): Promise<void>;
  /** Reaches the disk within seconds. Never throws. */
  lazy(work: () => void): void;
  /** Asks `prepare` what to write when the next batch is about to be committed, soon: what became needless by then is
   * never written.
   * @returns resolves once the batch is on disk, at once when there was nothing */
  atCommit(prepare: () => (() => void) | undefined): Promise<void>;
  /** One more message, of so many bytes, waits for what an {@link atCommit} is about to write: the commit comes the
   * sooner the more there are. */
  arrived(bytes: number): void;
  /** Has `work` write with the next commit that comes: what changes often between two is written once. */
  withCommit(work: () => void): void;
  readonly rows: BrokerRows;
}

export interface BrokerRows {
  sessions(): SessionRow[];
  putSession(row: SessionRow): void;
  /** Removes it with everything that is its. */
  removeSession(sid: number): void;
  subscriptions(): SubscriptionRow[];
  putSubscription(row: SubscriptionRow): void;
  removeSubscription(sid: number, filter: string): void;
  /** Numbers of the first messages, in order. */
  batches(): number[];
  batch(first: number): Uint8Array | undefined;
  putBatch(row: BatchRow): void;
  removeBatch(first: number): void;
  outgoing(): OutgoingRow[];
  putOutgoing(row: OutgoingRow): void;
  /** Forgets what is before `cursor`. */
  trimOutgoing(sid: number, cursor: number): void;
  incoming(): { sid: number; packetId: number }[];
  putIncoming(sid: number, packetId: number): void;
  removeIncoming(sid: number, packetId: number): void;
  retained(): { topic: string; message: Uint8Array }[];
  putRetained(topic: string, message: Uint8Array): void;
  removeRetained(topic: string): void;
  wills(): WillRow[];
  putWill(row: WillRow): void;
  removeWill(clientId: string): void;
}
