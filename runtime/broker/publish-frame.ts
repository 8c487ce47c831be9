/** A PUBLISH packet as it lies in a buffer. One object serves every packet of the broker, so that reading one makes no
 * garbage; nothing keeps it.
 * @source MQTT 5 §3.3, MQTT 3.1.1 §3.3 */
export class PublishFrame {
  data: Buffer = Buffer.alloc(0);
  start = 0;
  end = 0;
  qos: 0 | 1 | 2 = 0;
  dup = false;
  retain = false;
  topicStart = 0;
  topicEnd = 0;
  /** 0 with QoS 0. */
  id = 0;
  /** MQTT 5 properties, behind their length. */
  hasProperties = false;
  payloadStart = 0;

  /** Reads the packet at `[start, end)`, which is whole.
   * @returns false when it is malformed */
  read(data: Buffer, start: number, end: number, isFive: boolean): boolean {
    const first = data[start] as number;
    const qos = (first >> 1) & 3;
    if (qos === 3) return false; // [MQTT-3.3.1-4]
    let at = start + 1;
    while ((data[at++] as number) >= 0x80);
    if (at + 2 > end) return false;
    this.data = data;
    this.start = start;
    this.end = end;
    this.qos = qos as 0 | 1 | 2;
    this.dup = (first & 8) !== 0;
    this.retain = (first & 1) !== 0;
    this.topicStart = at + 2;
    at = this.topicStart + (((data[at] as number) << 8) | (data[at + 1] as number));
    this.topicEnd = at;
    this.id = 0;
    if (qos > 0) {
      if (at + 2 > end) return false;
      this.id = ((data[at] as number) << 8) | (data[at + 1] as number);
      if (this.id === 0) return false; // [MQTT-2.2.1-3]
      at += 2;
    } else if (this.dup) return false; // [MQTT-3.3.1-2]
    if (!isFive) {
      this.hasProperties = false;
    } else {
      if (at >= end) return false;
      this.hasProperties = data[at] !== 0;
      at++;
    }
    this.payloadStart = at; // behind the properties only when there are none; else the decoder knows
    return at <= end;
  }

  /** True when the packet is for the same topic as the last one, whose bytes are `topic`. */
  isFor(topic: Buffer): boolean {
    const { data, topicStart } = this;
    const length = this.topicEnd - topicStart;
    if (length !== topic.length) return false;
    for (let i = 0; i < length; i++) if (data[topicStart + i] !== topic[i]) return false;
    return true;
  }

  /** A copy of the payload that may live on. */
  payload(): Buffer {
    const copy = Buffer.allocUnsafe(this.end - this.payloadStart);
    this.data.copy(copy, 0, this.payloadStart, this.end);
    return copy;
  }
}
