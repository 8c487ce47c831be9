/** Knows when the other side has received what was sent over one WebSocket: it answers pings in the order of what came before
 * them. @source RFC 6455 §5.5.3 */
export class Receipts {
  private readonly ping: () => void;
  private calls: (() => void)[] = [];
  /** How many of them the ping under way covers. */
  private covered = 0;

  /** @param ping sends a ping whose pong is told to {@link pong} */
  constructor(ping: () => void) {
    this.ping = ping;
  }

  /** Something was sent.
   * @param received is called when it has been received */
  expect(received: () => void): void {
    this.calls.push(received);
    if (this.covered === 0) this.next();
  }

  pong(): void {
    const received = this.calls.splice(0, this.covered);
    this.covered = 0;
    if (this.calls.length > 0) this.next();
    for (const call of received) call();
  }

  private next(): void {
    this.covered = this.calls.length;
    this.ping();
  }
}
