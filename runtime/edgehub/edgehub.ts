import type { Clock } from '../core/clock.ts';
import { EdgeError, errorText } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import {
  encodeMessage,
  isRecord,
  type Message,
  type MessageDraft,
  newMessage,
  parseMessage,
  replyTo,
} from '../core/message.ts';
import type { Counter, MetricSource } from '../core/metrics.ts';
import { parseResource } from '../core/resource.ts';
import type { Millis } from '../core/units.ts';
import { Certificates, type Credentials } from './certificates.ts';
import type { EdgeHubConfig } from './config.ts';
import { type DeviceEntry, dispatch, type Inbound } from './dispatch.ts';
import { Link, type LinkState } from './link.ts';
import { Outbox, type OutboxStore } from './outbox.ts';
import { RateGate } from './rate-gate.ts';
import { Requests } from './requests.ts';

export type ObjectChange = Extract<Inbound, { kind: 'object' }>;

/** Where what the cloud says goes. */
export interface CloudHandlers {
  /** Resolves when the change is on disk: only then it is acknowledged. Rejects: the cloud will send it again. */
  object(change: ObjectChange): Promise<void>;
  membership(added: readonly DeviceEntry[], removed: readonly DeviceEntry[]): void;
  publish(topic: string, payload: string): void;
  subscribe(topic: string): void;
  unsubscribe(topic: string): void;
  /** The cloud's answer to a question for the node's authorisations, as JSON. */
  authInfo(payload: string): void;
  /** The cloud answered an entry of the outbox. */
  confirmed(request: Message, reply: Message): void;
  link(up: boolean): void;
}

export type EdgeHubDeps = {
  readonly config: EdgeHubConfig;
  readonly node: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: MetricSource;
  readonly random: () => number;
  readonly store: OutboxStore;
  readonly handlers: CloudHandlers;
  /** The join token was used: it can be blanked where it is stored. */
  readonly joined: () => void;
};

/** Answers that CloudHub does not keep in its acknowledgement queue: acknowledging them is traffic for nothing. */
const answersWithoutAck = new Set([
  'node',
  'nodepatch',
  'podpatch',
  'podstatus',
  'pod',
  'lease',
  'serviceaccounttoken',
  'Application',
]);

/** The node's end of the cloud link.
 * @source KubeEdge edge/pkg/edgehub */
export class EdgeHub {
  readonly name = 'edgehub';
  readonly outbox: Outbox;
  private readonly deps: EdgeHubDeps;
  private readonly log: Logger;
  private readonly link: Link;
  private readonly gate: RateGate;
  private readonly requests: Requests;
  private readonly certificates: Certificates;
  private readonly received: Counter;
  private readonly receivedBytes: Counter;
  private readonly sentBytes: Counter;
  private readonly malformed: Counter;

  constructor(deps: EdgeHubDeps) {
    this.deps = deps;
    const { config, node, clock, metrics, random, store } = deps;
    const log = deps.log.child('edgehub');
    this.log = log;
    this.received = metrics.counter('edgecore_link_received_total', 'Messages from the cloud.');
    this.receivedBytes = metrics.counter(
      'edgecore_link_received_bytes_total',
      'Bytes of messages from the cloud.',
    );
    this.sentBytes = metrics.counter('edgecore_link_sent_bytes_total', 'Bytes of messages to the cloud.');
    this.malformed = metrics.counter('edgecore_link_malformed_total', 'Frames that are no message.');
    metrics.gauge('edgecore_link_up', '1 while the cloud link is up.', () => (this.online ? 1 : 0));
    this.certificates = new Certificates({ config, node, log });
    this.requests = new Requests(clock);
    this.gate = new RateGate({
      clock,
      rate: config.messageQPS,
      burst: config.messageBurst,
      pass: (text, received) => {
        if (this.link.send(text, received)) this.sentBytes.add(Buffer.byteLength(text));
      },
      dropped: metrics.counter(
        'edgecore_link_send_dropped_total',
        'Messages that did not fit the send queue.',
      ),
    });
    const send = (message: Message, received?: () => void): boolean => this.send(message, received);
    this.outbox = new Outbox({ store, clock, log, metrics, send });
    this.link = new Link({
      config,
      node,
      clock,
      log,
      random,
      credentials: (signal) => this.obtainCredentials(signal),
      events: {
        frame: (text) => this.receive(text),
        up: () => this.linkChanged(true),
        down: (reason) => this.linkChanged(false, reason),
      },
    });
  }

  get state(): LinkState {
    return this.link.state;
  }

  get online(): boolean {
    return this.link.state.state === 'online';
  }

  async start(): Promise<void> {
    this.link.start();
  }

  async stop(): Promise<void> {
    await this.link.stop();
    this.gate.clear();
    this.requests.failAll('edgecore stops');
    this.outbox.online(false);
  }

  /** Sends a message when there is a link; false when there is none.
   * @param received is called when the cloud has been seen to receive it; never when the link goes before */
  send(message: Message, received?: () => void): boolean {
    if (!this.online) return false;
    this.gate.push(encodeMessage(message), received);
    return true;
  }

  /** Asks the cloud.
   * @returns its answer, of whatever operation; rejects with LINK_OFFLINE or LINK_TIMEOUT */
  request(draft: MessageDraft, timeout: Millis): Promise<Message> {
    const message = newMessage(draft, this.deps.clock.now());
    if (!this.send(message)) return Promise.reject(new EdgeError('LINK_OFFLINE', { detail: draft.resource }));
    return this.requests.wait(message.header.msg_id, draft.resource, timeout);
  }

  /** What the node has joined with; undefined until then. */
  get credentials(): Credentials | undefined {
    return this.certificates.load();
  }

  private async obtainCredentials(signal: AbortSignal): Promise<Credentials> {
    const stored = this.certificates.load();
    if (stored) return stored;
    const joined = await this.certificates.join(this.deps.config.token, signal);
    this.deps.joined();
    return joined;
  }

  private linkChanged(up: boolean, reason = ''): void {
    if (!up) {
      this.gate.clear();
      this.requests.failAll(reason);
    }
    this.outbox.online(up);
    this.deps.handlers.link(up);
  }

  private receive(text: string): void {
    this.received.add();
    this.receivedBytes.add(Buffer.byteLength(text));
    const message = parseMessage(text);
    if ('refused' in message) {
      this.malformed.add();
      this.log.warn('a frame from the cloud is no message', { reason: message.refused });
      return;
    }
    this.handle(dispatch(message));
  }

  private handle(inbound: Inbound): void {
    const { handlers } = this.deps;
    switch (inbound.kind) {
      case 'reply':
        this.reply(inbound.parent, inbound.message);
        break;
      case 'object':
        void this.change(inbound);
        break;
      case 'membership':
        handlers.membership(inbound.added, inbound.removed);
        break;
      case 'publish':
        handlers.publish(inbound.topic, inbound.payload);
        break;
      case 'subscribe':
        handlers.subscribe(inbound.topic);
        break;
      case 'unsubscribe':
        handlers.unsubscribe(inbound.topic);
        break;
      case 'authInfo':
        handlers.authInfo(inbound.payload);
        break;
      case 'control':
        this.send(replyTo(inbound.message, 'ack', this.deps.clock.now()));
        break;
      case 'unknown':
        this.log.debug('not for this node', () => ({ message: inbound.why }));
        // One message that nobody here wants would else hold up everything behind it in CloudHub's queue.
        if (inbound.message.route.group === 'resource') this.acknowledge(inbound.message);
        break;
      default:
        inbound satisfies never;
    }
  }

  private async change(change: ObjectChange): Promise<void> {
    try {
      await this.deps.handlers.object(change);
      this.acknowledge(change.message);
    } catch (error) {
      // Not acknowledged: the cloud sends it again.
      this.log.error('a change from the cloud could not be kept', {
        resource: change.message.route.resource,
        reason: errorText(error),
      });
    }
  }

  private reply(parent: string, reply: Message): void {
    if (isRecord(reply.content) && !answersWithoutAck.has(parseResource(reply.route.resource)?.type ?? '')) {
      this.acknowledge(reply);
    }
    if (this.requests.settle(parent, reply)) return;
    const request = this.outbox.answered(reply);
    if (request) this.deps.handlers.confirmed(request, reply);
  }

  private acknowledge(message: Message): void {
    this.send(replyTo(message, 'OK', this.deps.clock.now()));
  }
}
