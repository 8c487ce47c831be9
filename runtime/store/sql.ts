import { closeQuietly, type Database, type Statement } from './database.ts';
import { rowSum, type SqlValue } from './row-sum.ts';
import { putSql, removeSql, summedColumns, type TableSpec } from './tables.ts';

/** One write, as it can be done again. */
export type RowWrite = {
  readonly sql: string;
  readonly values: readonly SqlValue[];
  /** The row that it makes as it says, whatever was there; undefined when it is about several rows. */
  readonly row: string | undefined;
};

/** The open database with its prepared statements. The tables hold this and no statement of their own, so that the
 * database behind it can be another one: a copy while the disk cannot be written, or a file written anew. */
export class Sql {
  /** Is told of each write that was done. */
  onWrite: (write: RowWrite) => void = () => {};
  private database: Database;
  /** Prepared when first used: a node without MQTT clients needs few of them. */
  private readonly statements = new Map<string, Statement>();
  private readonly texts = new Map<TableSpec, { put: string; remove: string }>();

  constructor(database: Database) {
    this.database = database;
  }

  get isOpen(): boolean {
    return this.database.isOpen;
  }

  get inTransaction(): boolean {
    return this.database.inTransaction;
  }

  exec(sql: string): void {
    this.database.exec(sql);
  }

  /** All rows: the library leaves a statement that was read once open, and that pins the WAL. */
  all(sql: string, values: readonly SqlValue[] = []): Record<string, SqlValue>[] {
    return this.use(sql, (statement) => statement.all([...values])) as Record<string, SqlValue>[];
  }

  /** Writes a row whole. */
  put(table: TableSpec, values: readonly SqlValue[]): void {
    this.run({
      sql: this.textsOf(table).put,
      values: [...values, rowSum(table.isNumbered ? values.slice(1) : values)],
      row: keyOf(table, values),
    });
  }

  /** Appends a row to a table whose rows SQLite numbers. */
  append(table: TableSpec, values: readonly SqlValue[]): void {
    const columns = [...summedColumns(table), 'sum'];
    const sql = `INSERT INTO ${table.name} (${columns.join(', ')}) VALUES (${columns.map(() => '?').join(', ')})`;
    this.run({ sql, values: [...values, rowSum(values)], row: undefined });
  }

  /** Removes the row of that key, if there is one. */
  remove(table: TableSpec, key: readonly SqlValue[]): void {
    this.run({ sql: this.textsOf(table).remove, values: key, row: keyOf(table, key) });
  }

  /** Does any other write; one whose effect does not depend on how often it is done. */
  write(sql: string, values: readonly SqlValue[]): void {
    this.run({ sql, values, row: undefined });
  }

  run(write: RowWrite): void {
    this.use(write.sql, (statement) => statement.run([...write.values]));
    this.onWrite(write);
  }

  /** Goes on with another database and closes the one before. */
  replace(database: Database): void {
    const before = this.database;
    this.finalize();
    this.database = database;
    if (before.isOpen) closeQuietly(before);
  }

  close(): void {
    this.finalize();
    this.database.close();
  }

  private finalize(): void {
    for (const statement of this.statements.values()) finalizeQuietly(statement);
    this.statements.clear();
  }

  private use<T>(sql: string, work: (statement: Statement) => T): T {
    let statement = this.statements.get(sql);
    if (!statement) {
      statement = this.database.prepare(sql);
      this.statements.set(sql, statement);
    }
    try {
      return work(statement);
    } catch (error) {
      // It would tell of this error once more when it is used the next time.
      this.statements.delete(sql);
      finalizeQuietly(statement);
      throw error;
    }
  }

  private textsOf(table: TableSpec): { put: string; remove: string } {
    let texts = this.texts.get(table);
    if (!texts) {
      texts = { put: putSql(table), remove: removeSql(table) };
      this.texts.set(table, texts);
    }
    return texts;
  }
}

function keyOf({ name, keys }: TableSpec, values: readonly SqlValue[]): string {
  return `${name} ${JSON.stringify(values.slice(0, keys))}`;
}

/** A statement that failed says so again when it goes. */
function finalizeQuietly(statement: Statement): void {
  closeQuietly({ close: () => statement.finalize() });
}
