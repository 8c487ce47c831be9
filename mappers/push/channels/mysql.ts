import { type Channel, type ChannelDeps, PushError } from '../channel.ts';
import type { Route, Sample } from '../sample.ts';
import type { Target } from '../target.ts';
import { MysqlConnection } from './mysql-connection.ts';
import { dateTime } from './time.ts';

/** Connects and logs in. @throws PushError away */
export async function openMysql(
  { addr, database, userName }: Extract<Target, { method: 'mysql' }>,
  { credentials, clock }: ChannelDeps,
): Promise<Channel> {
  const login = { user: credentials.userName || userName, database, credentials };
  return new MysqlChannel(await MysqlConnection.open(addr, login, clock));
}

/** A table for each property, `<namespace>/<device>/<property>`, a row for each value.
 *
 * Differs: KubeEdge leaves the character set to the server, where it may be one that has no place for most characters.
 * @source KubeEdge mapper-framework data/dbmethod/mysql client.go */
class MysqlChannel implements Channel {
  private readonly connection: MysqlConnection;
  private readonly made = new Set<string>();

  constructor(connection: MysqlConnection) {
    this.connection = connection;
  }

  async send(samples: readonly Sample[]): Promise<void> {
    const tables = new Map<string, Sample[]>();
    for (const sample of samples) {
      const table = tableOf(sample.route);
      const own = tables.get(table);
      if (own) own.push(sample);
      else tables.set(table, [sample]);
    }
    try {
      // They end a transaction, so they come first.
      for (const table of tables.keys()) await this.make(table);
      await this.connection.run('START TRANSACTION');
      for (const [table, own] of tables) await this.connection.run(insertInto(table, own));
      await this.connection.run('COMMIT');
    } catch (error) {
      // Somebody may have dropped a table.
      this.made.clear();
      if (error instanceof PushError && error.kind === 'refused') await this.connection.run('ROLLBACK');
      throw error;
    }
  }

  close(): void {
    this.connection.close();
  }

  private async make(table: string): Promise<void> {
    if (this.made.has(table)) return;
    const columns = 'id INT AUTO_INCREMENT PRIMARY KEY, ts DATETIME NOT NULL, field TEXT';
    await this.connection.run(`CREATE TABLE IF NOT EXISTS ${table} (${columns}) DEFAULT CHARSET = utf8mb4`);
    this.made.add(table);
  }
}

/** The name as it stands in a statement. */
export function tableOf({ namespace, device, property }: Route): string {
  return `\`${`${namespace}/${device}/${property}`.replaceAll('`', '``')}\``;
}

export function insertInto(table: string, samples: readonly Sample[]): string {
  const rows = samples.map(({ at, value }) => `('${dateTime(at)}', ${literal(value)})`);
  return `INSERT INTO ${table} (ts, field) VALUES ${rows.join(', ')}`;
}

/** Hexadecimal: there is nothing in it that could end a text, whatever the server's sql_mode. */
function literal(value: string): string {
  return value === '' ? "''" : `_utf8mb4 0x${Buffer.from(value).toString('hex')}`;
}
