import type { Sql } from './sql.ts';
import { squeeze, unsqueeze } from './squeeze.ts';
import { tables } from './tables.ts';

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

/** Tables `mqtt_*`: sessions, subscriptions, messages under way, retained messages and wills of the MQTT broker. */
export class MqttTables {
  private readonly sql: Sql;
  private readonly wrote: (bytes: number) => void;

  /** @param wrote is told of large rows */
  constructor(sql: Sql, wrote: (bytes: number) => void) {
    this.sql = sql;
    this.wrote = wrote;
  }

  sessions(): MqttSessionRow[] {
    return this.sql
      .all('SELECT sid, client_id, username, expiry, left_at, cursor FROM mqtt_session ORDER BY sid')
      .map((row) => ({
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
    this.sql.put(tables.mqttSession, [sid, clientId, username, expiry, leftAt, cursor]);
  }

  removeSession(sid: number): void {
    this.sql.remove(tables.mqttSession, [sid]);
    this.sql.write('DELETE FROM mqtt_subscription WHERE sid = ?', [sid]);
    this.sql.write('DELETE FROM mqtt_incoming WHERE sid = ?', [sid]);
    this.trimOutgoing(sid, Number.MAX_SAFE_INTEGER);
  }

  subscriptions(): MqttSubscriptionRow[] {
    return this.sql
      .all('SELECT sid, filter, options FROM mqtt_subscription')
      .map(({ sid, filter, options }) => ({
        sid: Number(sid),
        filter: String(filter),
        options: String(options),
      }));
  }

  putSubscription({ sid, filter, options }: MqttSubscriptionRow): void {
    this.sql.put(tables.mqttSubscription, [sid, filter, options]);
  }

  removeSubscription(sid: number, filter: string): void {
    this.sql.remove(tables.mqttSubscription, [sid, filter]);
  }

  batches(): number[] {
    return this.sql.all('SELECT first FROM mqtt_batch ORDER BY first').map(({ first }) => Number(first));
  }

  batch(first: number): Uint8Array | undefined {
    const body = this.sql.all('SELECT body FROM mqtt_batch WHERE first = ?', [first])[0]?.body;
    return body instanceof Uint8Array ? unsqueeze(body) : undefined;
  }

  putBatch({ first, body }: { readonly first: number; readonly body: Uint8Array }): void {
    const row = squeeze(body);
    this.sql.put(tables.mqttBatch, [first, row]);
    this.wrote(row.length);
  }

  removeBatch(first: number): void {
    this.sql.remove(tables.mqttBatch, [first]);
  }

  outgoing(): MqttOutgoingRow[] {
    return this.sql
      .all('SELECT sid, seq, packet_id, state FROM mqtt_outgoing ORDER BY sid, seq')
      .map(({ sid, seq, packet_id, state }) => ({
        sid: Number(sid),
        seq: Number(seq),
        packetId: Number(packet_id),
        state: String(state) as MqttOutgoingRow['state'],
      }));
  }

  putOutgoing({ sid, seq, packetId, state }: MqttOutgoingRow): void {
    this.sql.put(tables.mqttOutgoing, [sid, seq, packetId, state]);
  }

  trimOutgoing(sid: number, cursor: number): void {
    this.sql.write('DELETE FROM mqtt_outgoing WHERE sid = ? AND seq < ?', [sid, cursor]);
  }

  incoming(): { sid: number; packetId: number }[] {
    return this.sql
      .all('SELECT sid, packet_id FROM mqtt_incoming')
      .map((row) => ({ sid: Number(row.sid), packetId: Number(row.packet_id) }));
  }

  putIncoming(sid: number, packetId: number): void {
    this.sql.put(tables.mqttIncoming, [sid, packetId]);
  }

  removeIncoming(sid: number, packetId: number): void {
    this.sql.remove(tables.mqttIncoming, [sid, packetId]);
  }

  retained(): { topic: string; message: Uint8Array }[] {
    return this.sql.all('SELECT topic, message FROM mqtt_retained').map((row) => ({
      topic: String(row.topic),
      message: row.message as Uint8Array,
    }));
  }

  putRetained(topic: string, message: Uint8Array): void {
    this.sql.put(tables.mqttRetained, [topic, message]);
  }

  removeRetained(topic: string): void {
    this.sql.remove(tables.mqttRetained, [topic]);
  }

  wills(): MqttWillRow[] {
    return this.sql.all('SELECT client_id, delay, message FROM mqtt_will').map((row) => ({
      clientId: String(row.client_id),
      delay: Number(row.delay),
      message: row.message as Uint8Array,
    }));
  }

  putWill({ clientId, delay, message }: MqttWillRow): void {
    this.sql.put(tables.mqttWill, [clientId, delay, message]);
  }

  removeWill(clientId: string): void {
    this.sql.remove(tables.mqttWill, [clientId]);
  }
}
