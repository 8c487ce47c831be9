/** Numbers that stand for topics on the way to one client: each topic gets one until there are no more.
 * @source MQTT 5 §3.3.2.3.4, [MQTT-3.1.2-26] */
export class TopicAliases {
  private readonly most: number;
  private readonly ids = new Map<string, { readonly id: number; known: boolean }>();

  /** @param most what the client said in CONNECT */
  constructor(most: number) {
    this.most = most;
  }

  /** @returns the alias to send with a packet of `topic`, undefined when there is none left */
  of(topic: string): { readonly id: number; readonly known: boolean } | undefined {
    const alias = this.ids.get(topic);
    if (alias) {
      alias.known = true;
      return alias;
    }
    if (this.ids.size >= this.most) return undefined;
    const fresh = { id: this.ids.size + 1, known: false };
    this.ids.set(topic, fresh);
    return fresh;
  }

  /** The alias given last was not sent. */
  takeBack(topic: string): void {
    this.ids.delete(topic);
  }
}
