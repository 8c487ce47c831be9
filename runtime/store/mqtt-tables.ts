import type { Database, Statement } from './database.ts';

export type MqttSessionRow = {
  readonly sid: number;
  readonly clientId: string;
  readonly username: string | null;
  readonly expiry: number;
  readonly leftAt: number;
  readonly cursor: number;
};
export type MqttSubscriptionRow = { readonly sid: number; readonly filter: string; readonly options: string };
export type MqttOutgoingRow = {
  readonly sid: number;
  readonly seq: number;
  readonly packetId: number;
  readonly state: 'sent' | 'released' | 'done';
};
export type MqttWillRow = { readonly clientId: string; readonly delay: number; readonly message: Uint8Array };

const sql = {
  sessions: 'SELECT sid, client_id, username, expiry, left_at, cursor FROM mqtt_session ORDER BY sid',
  putSession:
    'INSERT INTO mqtt_session VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (sid) DO UPDATE SET username = excluded.username, expiry = excluded.expiry, left_at = excluded.left_at, cursor = excluded.cursor',
  removeSession: 'DELETE FROM mqtt_session WHERE sid = ?',
  subscriptions: 'SELECT sid, filter, options FROM mqtt_subscription',
  putSubscription: 'INSERT OR REPLACE INTO mqtt_subscription VALUES (?, ?, ?)',
  removeSubscription: 'DELETE FROM mqtt_subscription WHERE sid = ? AND filter = ?',
  removeSubscriptions: 'DELETE FROM mqtt_subscription WHERE sid = ?',
  batches: 'SELECT first FROM mqtt_batch ORDER BY first',
  batch: 'SELECT body FROM mqtt_batch WHERE first = ?',
  putBatch: 'INSERT OR REPLACE INTO mqtt_batch VALUES (?, ?)',
  removeBatch: 'DELETE FROM mqtt_batch WHERE first = ?',
  outgoing: 'SELECT sid, seq, packet_id, state FROM mqtt_outgoing ORDER BY sid, seq',
  putOutgoing: 'INSERT OR REPLACE INTO mqtt_outgoing VALUES (?, ?, ?, ?)',
  trimOutgoing: 'DELETE FROM mqtt_outgoing WHERE sid = ? AND seq < ?',
  incoming: 'SELECT sid, packet_id FROM mqtt_incoming',
  putIncoming: 'INSERT OR REPLACE INTO mqtt_incoming VALUES (?, ?)',
  removeIncoming: 'DELETE FROM mqtt_incoming WHERE sid = ? AND packet_id = ?',
  removeIncomings: 'DELETE FROM mqtt_incoming WHERE sid = ?',
  retained: 'SELECT topic, message FROM mqtt_retained',
  putRetained: 'INSERT OR REPLACE INTO mqtt_retained VALUES (?, ?)',
  removeRetained: 'DELETE FROM mqtt_retained WHERE topic = ?',
  wills: 'SELECT client_id, delay, message FROM mqtt_will',
  putWill: 'INSERT OR REPLACE INTO mqtt_will VALUES (?, ?, ?)',
  removeWill: 'DELETE FROM mqtt_will WHERE client_id = ?',
} as const;

/** Tables `mqtt_*`: sessions, subscriptions, messages under way, retained messages and wills of the MQTT broker. */
export class MqttTables {
  private readonly db: Database;
  /** Prepared when first used: a node whose clients keep nothing needs none of them. */
  private readonly prepared = new Map<keyof typeof sql, Statement>();

  private readonly wrote: (bytes: number) => void;

  /** @param wrote is told of large rows */
  constructor(db: Database, wrote: (bytes: number) => void) {
    this.db = db;
    this.wrote = wrote;
  }

  sessions(): MqttSessionRow[] {
    return this.all('sessions').map((row) => ({
      sid: Number(row.sid),
      clientId: String(row.client_id),
      username: row.username === null ? null : String(row.username),
      expiry: Number(row.expiry),
      leftAt: Number(row.left_at),
      cursor: Number(row.cursor),
    }));
  }

  putSession(row: MqttSessionRow): void {
    const { sid, clientId, username, expiry, leftAt, cursor } = row;
    this.run('putSession', [sid, clientId, username, expiry, leftAt, cursor]);
  }

  removeSession(sid: number): void {
    for (const name of ['removeSession', 'removeSubscriptions', 'removeIncomings'] as const)
      this.run(name, [sid]);
    this.trimOutgoing(sid, Number.MAX_SAFE_INTEGER);
  }

  subscriptions(): MqttSubscriptionRow[] {
    return this.all('subscriptions').map(({ sid, filter, options }) => ({
      sid: Number(sid),
      filter: String(filter),
      options: String(options),
    }));
  }

  putSubscription({ sid, filter, options }: MqttSubscriptionRow): void {
    this.run('putSubscription', [sid, filter, options]);
  }

  removeSubscription(sid: number, filter: string): void {
    this.run('removeSubscription', [sid, filter]);
  }

  batches(): number[] {
    return this.all('batches').map(({ first }) => Number(first));
  }

  batch(first: number): Uint8Array | undefined {
    return this.all('batch', [first])[0]?.body as Uint8Array | undefined;
  }

  putBatch({ first, body }: { readonly first: number; readonly body: Uint8Array }): void {
    this.run('putBatch', [first, body]);
    this.wrote(body.length);
  }

  removeBatch(first: number): void {
    this.run('removeBatch', [first]);
  }

  outgoing(): MqttOutgoingRow[] {
    return this.all('outgoing').map(({ sid, seq, packet_id, state }) => ({
      sid: Number(sid),
      seq: Number(seq),
      packetId: Number(packet_id),
      state: String(state) as MqttOutgoingRow['state'],
    }));
  }

  putOutgoing({ sid, seq, packetId, state }: MqttOutgoingRow): void {
    this.run('putOutgoing', [sid, seq, packetId, state]);
  }

  trimOutgoing(sid: number, cursor: number): void {
    this.run('trimOutgoing', [sid, cursor]);
  }

  incoming(): { sid: number; packetId: number }[] {
    return this.all('incoming').map((row) => ({ sid: Number(row.sid), packetId: Number(row.packet_id) }));
  }

  putIncoming(sid: number, packetId: number): void {
    this.run('putIncoming', [sid, packetId]);
  }

  removeIncoming(sid: number, packetId: number): void {
    this.run('removeIncoming', [sid, packetId]);
  }

  retained(): { topic: string; message: Uint8Array }[] {
    return this.all('retained').map((row) => ({
      topic: String(row.topic),
      message: row.message as Uint8Array,
    }));
  }

  putRetained(topic: string, message: Uint8Array): void {
    this.run('putRetained', [topic, message]);
  }

  removeRetained(topic: string): void {
    this.run('removeRetained', [topic]);
  }

  wills(): MqttWillRow[] {
    return this.all('wills').map((row) => ({
      clientId: String(row.client_id),
      delay: Number(row.delay),
      message: row.message as Uint8Array,
    }));
  }

  putWill({ clientId, delay, message }: MqttWillRow): void {
    this.run('putWill', [clientId, delay, message]);
  }

  removeWill(clientId: string): void {
    this.run('removeWill', [clientId]);
  }

  finalize(): void {
    for (const statement of this.prepared.values()) statement.finalize();
    this.prepared.clear();
  }

  private statement(name: keyof typeof sql): Statement {
    let statement = this.prepared.get(name);
    if (!statement) {
      statement = this.db.prepare(sql[name]);
      this.prepared.set(name, statement);
    }
    return statement;
  }

  private run(name: keyof typeof sql, values: (string | number | null | Uint8Array)[]): void {
    this.statement(name).run(values);
  }

  private all(name: keyof typeof sql, values: (string | number)[] = []): Record<string, unknown>[] {
    return this.statement(name).all(values) as Record<string, unknown>[];
  }
}
