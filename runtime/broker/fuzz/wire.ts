import { Duplex } from 'node:stream';

/** The broker's end of a connection whose other end is a list of bytes. */
export class Wire extends Duplex {
  /** What the broker has sent. */
  readonly sent: Buffer[] = [];
  /** True once the broker has ended its side. */
  isEnded = false;

  constructor() {
    super({ emitClose: true });
  }

  /** Brings bytes to the broker, in this very turn when it is reading. */
  bring(chunk: Buffer): void {
    if (!this.destroyed && !this.readableEnded) this.push(chunk);
  }

  /** The client says that it is done. */
  hangUp(): void {
    if (!this.destroyed && !this.readableEnded) this.push(null);
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    // The broker takes what it has written for its own again: a copy, as a kernel would make it.
    this.sent.push(Buffer.from(chunk));
    done();
  }

  override _final(done: () => void): void {
    this.isEnded = true;
    // A peer closes when it is told goodbye.
    this.push(null);
    done();
  }
}

/** Lets everything happen that is due in this turn of the event loop. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
