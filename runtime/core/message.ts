import { randomUUID } from 'node:crypto';

/** KubeEdge's message envelope (beehive model), exactly as it travels: one JSON document a WebSocket text frame.
 * @source KubeEdge beehive/pkg/core/model */
export type Message = {
  readonly header: MessageHeader;
  readonly route: MessageRoute;
  readonly content: unknown;
};

export type MessageHeader = {
  readonly msg_id: string;
  /** Set on replies and acknowledgements: the `msg_id` that they answer. */
  readonly parent_msg_id?: string;
  /** ms since epoch. */
  readonly timestamp: number;
  readonly resourceversion?: string;
  readonly sync?: boolean;
  readonly type?: string;
};

export type MessageRoute = {
  readonly source: string;
  readonly destination?: string;
  readonly group: string;
  readonly operation: string;
  /** `<ns|null>/<type>[/<name>]`, a topic, or a fixed word: see resource.ts. */
  readonly resource: string;
};

/** What the sender of a new message says; id and time are added. */
export type MessageDraft = {
  readonly source: string;
  readonly group: string;
  readonly operation: string;
  readonly resource: string;
  readonly content: unknown;
  readonly resourceVersion?: string;
  readonly parent?: string;
};

export function newMessage(draft: MessageDraft, now: number, id: string = randomUUID()): Message {
  const { source, group, operation, resource } = draft;
  return {
    header: {
      msg_id: id,
      ...(draft.parent ? { parent_msg_id: draft.parent } : {}),
      timestamp: now,
      ...(draft.resourceVersion ? { resourceversion: draft.resourceVersion } : {}),
    },
    route: { source, group, operation, resource },
    content: draft.content,
  };
}

/** The reply to `request`: fresh id, parent set, same source, group and resource, operation `response`. */
export function replyTo(request: Message, content: unknown, now: number): Message {
  return newMessage({ ...request.route, operation: 'response', content, parent: request.header.msg_id }, now);
}

/** One line of JSON. KubeEdge ends each frame with a newline; so do we. */
export function encodeMessage(message: Message): string {
  return `${JSON.stringify(message)}\n`;
}

/** Reads one frame. An empty route is legal: KubeEdge's edgecore sends such a message as it shuts down.
 * @returns the message, or the reason why the frame is not one */
export function parseMessage(text: string): Message | { refused: string } {
  let raw: unknown;
  try {
    raw = JSON.parse(text);
  } catch {
    return { refused: 'not JSON' };
  }
  if (!isRecord(raw) || !isRecord(raw.header) || !isRecord(raw.route)) {
    return { refused: 'no header or no route' };
  }
  const { header, route } = raw;
  const id = header.msg_id;
  if (typeof id !== 'string') return { refused: 'header.msg_id is not a string' };
  const parent = stringOrEmpty(header.parent_msg_id);
  const version = stringOrEmpty(header.resourceversion);
  return {
    header: {
      msg_id: id,
      ...(parent ? { parent_msg_id: parent } : {}),
      timestamp: typeof header.timestamp === 'number' ? header.timestamp : 0,
      ...(version ? { resourceversion: version } : {}),
    },
    route: {
      source: stringOrEmpty(route.source),
      group: stringOrEmpty(route.group),
      operation: stringOrEmpty(route.operation),
      resource: stringOrEmpty(route.resource),
    },
    content: raw.content ?? null,
  };
}

/** Content as text, by KubeEdge's rule: a string stands for its own bytes, anything else for its JSON. */
export function contentText(content: unknown): string {
  return typeof content === 'string' ? content : JSON.stringify(content);
}

/** Content as an object. Go byte slices arrive as base64 and some senders put JSON into a string, so both are tried.
 * @returns undefined when it is neither */
export function contentObject(content: unknown): Record<string, unknown> | undefined {
  if (isRecord(content)) return content;
  if (typeof content !== 'string') return undefined;
  return parseObject(content) ?? parseObject(Buffer.from(content, 'base64').toString());
}

/** True for a plain JSON object. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function parseObject(text: string): Record<string, unknown> | undefined {
  if (!text.startsWith('{')) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function stringOrEmpty(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
