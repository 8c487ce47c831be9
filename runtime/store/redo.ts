import type { RowWrite, Sql } from './sql.ts';

const MOST_ROWS = 5000;
const MOST_BYTES = 8 * 1024 * 1024;

/** The writes of the open transaction that nobody waits for. When its commit fails they are done again in the next one;
 * of the writes to one row the last is enough. Beyond five thousand rows or 8 MB the oldest are dropped. */
export class Redo {
  /** Writes that were given up. */
  dropped = 0;
  /** Whether writes are taken down. */
  recording = false;
  private writes = new Map<string, RowWrite>();
  /** Writes of the piece of work that is being done. */
  private piece: RowWrite[] = [];
  private bytes = 0;
  private unnamed = 0;

  get size(): number {
    return this.writes.size;
  }

  note(write: RowWrite): void {
    if (this.recording) this.piece.push(write);
  }

  /** The piece failed and was undone. */
  dropPiece(): void {
    this.piece = [];
  }

  keepPiece(): void {
    if (this.piece.length === 0) return;
    for (const write of this.piece) this.keep(write);
    this.piece = [];
  }

  private keep(write: RowWrite): void {
    const key = write.row ?? `${this.unnamed++}`;
    this.forget(key);
    this.writes.set(key, write);
    this.bytes += sizeOf(write);
    while (this.writes.size > MOST_ROWS || this.bytes > MOST_BYTES) {
      const [oldest] = this.writes.keys();
      if (oldest === undefined) return;
      this.forget(oldest);
      this.dropped++;
    }
  }

  /** The transaction is committed. */
  clear(): void {
    if (this.writes.size > 0) this.writes = new Map();
    this.bytes = 0;
    this.unnamed = 0;
  }

  /** Does everything again, inside a new transaction; what fails is dropped. */
  replay(sql: Sql): void {
    const before = this.recording;
    this.recording = false;
    for (const [key, write] of this.writes) {
      try {
        sql.run(write);
      } catch {
        this.forget(key); // it would fail the next time as well
        this.dropped++;
      }
    }
    this.recording = before;
  }

  private forget(key: string): void {
    const write = this.writes.get(key);
    if (!write) return;
    this.bytes -= sizeOf(write);
    this.writes.delete(key);
  }
}

function sizeOf({ values }: RowWrite): number {
  let size = 64;
  for (const value of values)
    size += typeof value === 'string' || value instanceof Uint8Array ? value.length : 8;
  return size;
}
