/** Calls back when what an acknowledgement waits for is safe; an error says that it could not be made so. */
export type Settle = (error?: unknown) => void;

/** Something that is told once when what it waits for is safe. */
export interface Waiter {
  settle(error?: unknown): void;
}

/** An acknowledgement that waits for the disk, or for its turn. */
export class PendingAck implements Waiter {
  private readonly queue: AckQueue;
  readonly qos: number;
  readonly id: number;
  readonly code: number;
  /** What the message that it answers takes. */
  readonly bytes: number;
  /** For what is not the answer to a PUBLISH. */
  readonly send: Settle | undefined;
  isSettled = false;
  error: unknown;
  /** Who else wants to know. */
  private others: Waiter[] | undefined;

  constructor(
    queue: AckQueue,
    qos: number,
    id: number,
    code: number,
    bytes: number,
    send: Settle | undefined,
  ) {
    this.queue = queue;
    this.qos = qos;
    this.id = id;
    this.code = code;
    this.bytes = bytes;
    this.send = send;
  }

  settle(error?: unknown): void {
    if (this.isSettled) return;
    this.isSettled = true;
    this.error = error;
    this.queue.advance();
    for (const other of this.others ?? []) other.settle(error);
    this.others = undefined;
  }

  /** Tells another one the same, at once when it is settled. */
  tell(other: Waiter): void {
    if (this.isSettled) return other.settle(this.error);
    this.others ??= [];
    this.others.push(other);
  }
}

/** Sends acknowledgements in the order of what they acknowledge, although what they wait for ends in any order.
 * [MQTT-4.6.0-2] [MQTT-4.6.0-3] */
export class AckQueue {
  private readonly answer: (qos: number, id: number, code: number, error: unknown) => void;
  private readonly onProgress: () => void;
  private waiting: PendingAck[] = [];
  private head = 0;
  /** Of the messages that wait. */
  bytes = 0;

  /** @param answer sends PUBACK or PUBREC, or says that there is none to be sent
   * @param onProgress is called when there are fewer */
  constructor(
    answer: (qos: number, id: number, code: number, error: unknown) => void,
    onProgress: () => void,
  ) {
    this.answer = answer;
    this.onProgress = onProgress;
  }

  get length(): number {
    return this.waiting.length - this.head;
  }

  /** The answer to a PUBLISH, which leaves once it is settled and everything before it was sent. */
  open(qos: number, id: number, code: number, bytes: number): PendingAck {
    const entry = new PendingAck(this, qos, id, code, bytes, undefined);
    this.waiting.push(entry);
    this.bytes += bytes;
    return entry;
  }

  /** Sends at once when nothing is before it, else after it. */
  now(send: Settle): void {
    if (this.length === 0) send();
    else this.later(send)();
  }

  /** @param send is called once: after the returned function was, and everything before it was sent */
  later(send: Settle): Settle {
    const entry = new PendingAck(this, 0, 0, 0, 0, send);
    this.waiting.push(entry);
    return (error) => entry.settle(error);
  }

  /** Sends what is settled, up to the first that is not. */
  advance(): void {
    const { length } = this;
    for (;;) {
      const entry = this.waiting[this.head];
      if (!entry?.isSettled) break;
      this.head++;
      this.bytes -= entry.bytes;
      if (entry.send) entry.send(entry.error);
      else this.answer(entry.qos, entry.id, entry.code, entry.error);
    }
    if (this.head === this.waiting.length) {
      this.waiting = [];
      this.head = 0;
    } else if (this.head > 1024) {
      this.waiting.splice(0, this.head);
      this.head = 0;
    }
    if (this.length < length) this.onProgress();
  }
}
