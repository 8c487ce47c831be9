/** Sends acknowledgements in the order of what they acknowledge, although what they wait for ends in any order.
 * [MQTT-4.6.0-2] [MQTT-4.6.0-3] */
export class AckQueue {
  private readonly waiting: { ready: (() => void) | undefined }[] = [];

  get length(): number {
    return this.waiting.length;
  }

  /** Calls `send` at once, or after `work` has ended and everything before it was sent. */
  push(work: Promise<void> | undefined, send: (error?: unknown) => void): void {
    if (!work && this.waiting.length === 0) return send();
    const entry: { ready: (() => void) | undefined } = { ready: work ? undefined : () => send() };
    this.waiting.push(entry);
    work?.then(
      () => this.ready(entry, () => send()),
      (error) => this.ready(entry, () => send(error)),
    );
  }

  private ready(entry: { ready: (() => void) | undefined }, send: () => void): void {
    entry.ready = send;
    while (this.waiting[0]?.ready) this.waiting.shift()?.ready?.();
  }
}
