import type { Clock } from '../core/clock.ts';
import { errorText } from '../core/errors.ts';
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
import type { TimeTrust } from '../core/time-trust.ts';
import { type Millis, seconds } from '../core/units.ts';
import type { FrameNotices } from '../wire/frame-writer.ts';
import { Certificates, type Credentials } from './certificates.ts';
import type { EdgeHubConfig } from './config.ts';
import { type DeviceEntry, dispatch, type Inbound } from './dispatch.ts';
import { Link, type LinkState } from './link.ts';
import { Outbox, type OutboxStore } from './outbox.ts';
import { RateGate } from './rate-gate.ts';
import { Requests } from './requests.ts';
import { Rotation } from './rotation.ts';
import { Unanswered } from './unanswered.ts';

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
  /** A job: what comes of it is told by messages of its own. */
  task(message: Message): void;
  link(up: boolean): void;
  /** The node has a new certificate. */
  renewed(): void;
}

export type RequestOptions = {
  /** Called when it was written to the link, and each time that it is written again. */
  readonly handed?: () => void;
  /** It is not sent again after this; its answer still counts. */
  readonly superseded?: AbortSignal;
};

export type EdgeHubDeps = {
  readonly config: EdgeHubConfig;
  readonly node: string;
  readonly clock: Clock;
  readonly time: TimeTrust;
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

/** The cloud answers a report when the API server has taken it, which may have to wait for its turn there. */
const REPORT_WAIT = seconds(2);

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
  private readonly unanswered: Unanswered;
  private readonly certificates: Certificates;
  private readonly rotation: Rotation;
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
    const { time, joined } = deps;
    this.certificates = new Certificates({ config, node, clock, time, log, joined });
    const { certificates } = this;
    const renewed = (): void => this.renewed();
    this.rotation = new Rotation({ certificates, clock, time, log, random, renewed });
    this.unanswered = new Unanswered({ clock, probe: (answered) => this.link.probe(answered) });
    this.requests = new Requests(clock, this.unanswered);
    this.gate = new RateGate({
      clock,
      rate: config.messageQPS,
      burst: config.messageBurst,
      pass: ({ text, ...notices }) => {
        if (this.link.send(text, notices)) this.sentBytes.add(Buffer.byteLength(text));
      },
      isHeld: () => this.link.full,
      dropped: metrics.counter(
        'edgecore_link_send_dropped_total',
        'Messages that did not fit the send queue.',
      ),
    });
    this.outbox = new Outbox({
      config: config.outbox,
      store,
      clock,
      time: deps.time,
      log,
      metrics,
      send: (message, notices) => this.send(message, notices),
      isIdle: () => this.gate.isIdle,
      unanswered: this.unanswered,
    });
    this.link = new Link({
      config,
      node,
      clock,
      log,
      random,
      time,
      credentials: (signal) => certificates.obtain(signal),
      explain: (error) => certificates.explain(error),
      events: {
        frame: (text) => this.receive(text),
        up: () => this.linkChanged(true),
        down: (reason) => this.linkChanged(false, reason),
        drained: () => this.gate.resume(),
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
    if (this.deps.config.rotateCertificates) this.rotation.start();
  }

  async stop(): Promise<void> {
    await this.rotation.stop();
    await this.link.stop();
    this.gate.clear();
    this.requests.failAll('edgecore stops');
    this.outbox.online(false);
    this.unanswered.clear();
  }

  /** Sends a message when there is a link; false when there is none, or no room. */
  send(message: Message, notices: FrameNotices = {}): boolean {
    return (
      this.online && this.gate.push({ text: encodeMessage(message), isUrgent: isUrgent(message), ...notices })
    );
  }

  /** Asks the cloud, again and again where that does no harm.
   * @param timeout from when it was first written to the link
   * @returns its answer, of whatever operation; rejects with LINK_OFFLINE or LINK_TIMEOUT */
  request(draft: MessageDraft, timeout: Millis, options: RequestOptions = {}): Promise<Message> {
    const message = newMessage(draft, this.deps.clock.now());
    const id = message.header.msg_id;
    const reply = this.requests.wait(id, draft.resource, timeout);
    const transmit = (handed: () => void): boolean => {
      const taken = (): void => {
        this.requests.handed(id);
        options.handed?.();
        handed();
      };
      return this.send(message, { handed: taken });
    };
    const isSent = isRepeatable(message)
      ? this.unanswered.start(id, transmit, draft.source === 'twin' ? REPORT_WAIT : undefined)
      : transmit(() => {});
    if (!isSent) this.requests.refuse(id, draft.resource);
    options.superseded?.addEventListener('abort', () => this.unanswered.settled(id), { once: true });
    return reply;
  }

  /** What the node has joined with; undefined until then. */
  get credentials(): Credentials | undefined {
    return this.certificates.load();
  }

  private renewed(): void {
    this.link.reconnect('the certificate was renewed');
    this.deps.handlers.renewed();
  }

  private linkChanged(up: boolean, reason = ''): void {
    if (!up) {
      this.gate.clear();
      this.requests.failAll(reason);
    }
    this.outbox.online(up);
    if (!up) this.unanswered.clear();
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
      case 'task':
        handlers.task(inbound.message);
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
    this.outbox.answered(reply);
  }

  private acknowledge(message: Message): void {
    this.send(replyTo(message, 'OK', this.deps.clock.now()));
  }
}

/** What the cloud waits for before it sends the next object, and what tells it that the node lives: behind the reports of
 * many devices they would come seconds late. */
function isUrgent({ header, route }: Message): boolean {
  return Boolean(header.parent_msg_id) || /(^|\/)(lease|node|nodepatch)\//.test(route.resource);
}

/** What may arrive twice: questions, a node's own objects (an `insert` of what is there is refused and no harm), reports. Not
 * what clients of the node's API write: a second `create` would be told that its object exists. */
function isRepeatable({ route }: Message): boolean {
  const { source, operation, resource } = route;
  if (source === 'metaserver') return false;
  return source === 'twin' || operation === 'query' || /(^|\/)(lease|node|nodepatch)\//.test(resource);
}
