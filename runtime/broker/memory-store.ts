import type {
  BatchRow,
  BrokerRows,
  BrokerStore,
  OutgoingRow,
  SessionRow,
  SubscriptionRow,
} from './persistence.ts';

/** A store for a broker that keeps nothing over a restart: everything is safe as soon as it is said. */
export function memoryBrokerStore(): BrokerStore {
  return {
    patience: 0,
    durable: async (work) => work(),
    lazy: (work) => work(),
    atCommit: async (prepare) => {
      // Like a commit, it comes after what is under way.
      await Promise.resolve();
      prepare()?.();
    },
    arrived: () => {},
    withCommit: (work) => queueMicrotask(work),
    rows: new MemoryRows(),
  };
}

/** The rows in maps; also the fake that tests restart a broker on. */
export class MemoryRows implements BrokerRows {
  private readonly session = new Map<number, SessionRow>();
  private readonly subscription = new Map<string, SubscriptionRow>();
  private readonly out = new Map<string, OutgoingRow>();
  private readonly in = new Map<string, { sid: number; packetId: number }>();
  private readonly batchBodies = new Map<number, Uint8Array>();
  private readonly retainedMessages = new Map<string, Uint8Array>();
  private readonly will = new Map<string, { clientId: string; delay: number; message: Uint8Array }>();

  sessions = () => [...this.session.values()];
  putSession = (row: SessionRow) => void this.session.set(row.sid, row);
  removeSession(sid: number): void {
    this.session.delete(sid);
    for (const rows of [this.subscription, this.out, this.in])
      for (const [key, row] of rows) if (row.sid === sid) rows.delete(key);
  }
  subscriptions = () => [...this.subscription.values()];
  putSubscription = (row: SubscriptionRow) => void this.subscription.set(`${row.sid} ${row.filter}`, row);
  removeSubscription = (sid: number, filter: string) => void this.subscription.delete(`${sid} ${filter}`);
  batches = () => [...this.batchBodies.keys()].sort((a, b) => a - b);
  batch = (first: number) => this.batchBodies.get(first);
  putBatch = ({ first, body }: BatchRow) => void this.batchBodies.set(first, body);
  removeBatch = (first: number) => void this.batchBodies.delete(first);
  outgoing = () => [...this.out.values()];
  putOutgoing = (row: OutgoingRow) => void this.out.set(`${row.sid} ${row.seq}`, row);
  trimOutgoing(sid: number, cursor: number): void {
    for (const [key, row] of this.out) if (row.sid === sid && row.seq < cursor) this.out.delete(key);
  }
  incoming = () => [...this.in.values()];
  putIncoming = (sid: number, packetId: number) => void this.in.set(`${sid} ${packetId}`, { sid, packetId });
  removeIncoming = (sid: number, packetId: number) => void this.in.delete(`${sid} ${packetId}`);
  retained = () => [...this.retainedMessages].map(([topic, message]) => ({ topic, message }));
  putRetained = (topic: string, message: Uint8Array) => void this.retainedMessages.set(topic, message);
  removeRetained = (topic: string) => void this.retainedMessages.delete(topic);
  wills = () => [...this.will.values()];
  putWill = (row: { clientId: string; delay: number; message: Uint8Array }) =>
    void this.will.set(row.clientId, row);
  removeWill = (clientId: string) => void this.will.delete(clientId);
}
