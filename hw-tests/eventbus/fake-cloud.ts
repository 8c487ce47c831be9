import { randomUUID } from 'node:crypto';
import { type Message, newMessage, replyTo } from '../../runtime/core/message.ts';
import { TestCloud } from '../../runtime/edgehub/test-cloud.ts';
import type { CloudAddress } from '../lone-edge.ts';
import { until } from '../program.ts';
import { Relay } from '../relay.ts';

export type Upload = { readonly topic: string; readonly payload: unknown };

/** The cloud's end of the edge protocol, and a rule that takes and gives messages. The way to it may be cut. */
export class FakeCloud {
  /** Everything that came, over all connections. */
  readonly messages: Message[] = [];
  private readonly cloud = new TestCloud();
  private way: Relay | undefined;

  async start(): Promise<void> {
    await this.cloud.start();
    this.way = new Relay(Number(this.cloud.address.split(':')[1]));
    await this.way.open();
    void this.listen();
  }

  async stop(): Promise<void> {
    await this.way?.close();
    await this.cloud.stop();
  }

  get address(): CloudAddress {
    const at = `127.0.0.1:${this.way?.port}`;
    return { httpServer: `https://${at}`, websocket: at, token: `${this.cloud.caHash}.of.a.rule` };
  }

  /** No edge gets through. */
  async disappear(): Promise<void> {
    await this.way?.close();
  }

  async reappear(): Promise<void> {
    await this.way?.open();
  }

  /** How often an edge has connected. */
  get connections(): number {
    return this.cloud.upgrades.length;
  }

  /** Resolves when an edge has connected so often. */
  async connected(times: number): Promise<void> {
    await until(`connection ${times} of the edge`, () => this.connections >= times);
  }

  /** A message of a rule. */
  rule(operation: string, resource: string, content: unknown): void {
    this.send({ source: 'router_eventbus', group: 'user', operation, resource }, content);
  }

  send(
    route: { source: string; group: string; operation: string; resource: string },
    content: unknown,
  ): void {
    this.cloud.send(newMessage({ ...route, content }, Date.now(), randomUUID()));
  }

  /** What came from the topics of the node, in order. */
  get uploads(): Upload[] {
    return this.messages
      .filter(({ route }) => route.group === 'user')
      .map(({ route, content }) => ({ topic: route.resource, payload: content }));
  }

  private async listen(): Promise<void> {
    for (;;) {
      const message = await this.cloud.next();
      this.messages.push(message);
      // Twins and states are confirmed, one at a time.
      if (message.route.source !== 'twin') continue;
      const confirmation = replyTo(message, 'OK', Date.now());
      this.cloud.send({ ...confirmation, route: { ...confirmation.route, group: 'twin' } });
    }
  }
}
