import fs from 'node:fs';

/** Puts faults under SQLite: the library writes with Node's own functions, whatever the file system. */
export class FaultyDisk {
  /** What each write to a file whose path ends so fails with; undefined for none. */
  fault: string | undefined;
  /** Whether syncs fail. */
  failsSyncs = false;
  syncs = 0;
  private readonly write = fs.writeSync;

  constructor() {
    const { write } = this;
    fs.writeSync = ((...args: Parameters<typeof write>) => {
      if (this.fault) throw Object.assign(new Error(`${this.fault}: write`), { code: this.fault });
      return write(...args);
    }) as typeof write;
  }

  readonly syncFile = async (): Promise<void> => {
    this.syncs++;
    if (this.failsSyncs) throw Object.assign(new Error('EIO: i/o error, fdatasync'), { code: 'EIO' });
  };

  restore(): void {
    fs.writeSync = this.write;
  }
}
