import type { Wire } from './wire.ts';

/** A wire in memory, for tests: what is sent is handed to `answer`, and what that returns comes back. */
export class MemoryWire implements Wire {
  readonly sent: Buffer[] = [];
  readonly lost: Promise<string>;
  onData: (chunk: Buffer) => void = () => {};
  isClosed = false;
  /** @returns the chunks of an answer, none for silence */
  answer: (sent: Buffer) => readonly Buffer[] = () => [];
  /** Breaks it. */
  lose: (reason: string) => void = () => {};

  constructor() {
    this.lost = new Promise((resolve) => {
      this.lose = resolve;
    });
  }

  send(bytes: Buffer): void {
    this.sent.push(bytes);
    for (const chunk of this.answer(bytes)) queueMicrotask(() => this.onData(chunk));
  }

  close(): Promise<void> {
    this.isClosed = true;
    return Promise.resolve();
  }
}
