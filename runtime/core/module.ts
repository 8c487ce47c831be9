/** Something with a lifetime that the composition root owns. */
export interface Module {
  readonly name: string;
  /** Resolves when ready to serve; `signal` aborts when the process is to stop. */
  start(signal: AbortSignal): Promise<void>;
  /** Releases everything; safe after a start that failed half-way. */
  stop(): Promise<void>;
}
