import { contentObject, contentText, isRecord, type Message } from '../core/message.ts';
import { parseResource } from '../core/resource.ts';

export type DeviceEntry = { readonly id: string; readonly name: string; readonly description: string };

/** What a frame from the cloud asks for, decided once, at the door. */
export type Inbound =
  /** The answer to a request of ours, or a confirmation. */
  | { readonly kind: 'reply'; readonly parent: string; readonly message: Message }
  /** A cloud object that was added, changed or deleted. */
  | {
      readonly kind: 'object';
      readonly operation: 'insert' | 'update' | 'delete';
      readonly namespace: string | undefined;
      readonly type: string;
      readonly name: string;
      readonly object: unknown;
      readonly message: Message;
    }
  /** Devices that belong to this node, or no longer do. */
  | {
      readonly kind: 'membership';
      readonly added: readonly DeviceEntry[];
      readonly removed: readonly DeviceEntry[];
    }
  /** A message for the MQTT topics of this node, from a rule. */
  | { readonly kind: 'publish'; readonly topic: string; readonly payload: string }
  /** A rule wants, or no longer wants, what arrives on a topic. */
  | { readonly kind: 'subscribe' | 'unsubscribe'; readonly topic: string }
  /** The answer to `$hw/events/node/<node>/authInfo/get`, as JSON. */
  | { readonly kind: 'authInfo'; readonly payload: string }
  /** A job for this node. */
  | { readonly kind: 'task'; readonly message: Message }
  /** A link control message that wants the answer "ack". */
  | { readonly kind: 'control'; readonly message: Message }
  | { readonly kind: 'unknown'; readonly why: string; readonly message: Message };

/** Sorts a message from the cloud by group, operation and resource.
 * @source KubeEdge edge/pkg/edgehub/process.go, edge/pkg/eventbus/eventbus.go pubCloudMsgToEdge, pkg/devicetwin membership */
export function dispatch(message: Message): Inbound {
  const { group, operation } = message.route;
  if (operation === 'config' || operation === 'ping' || operation === 'pong')
    return { kind: 'control', message };
  const parent = message.header.parent_msg_id;
  if (parent) return { kind: 'reply', parent, message };
  switch (group) {
    case 'resource':
    case 'func':
      return objectChange(message);
    case 'twin':
      return message.route.resource === 'membership' ? membership(message) : unknown(message);
    case 'user':
      return busMessage(message);
    case 'taskmanager':
      return { kind: 'task', message };
    default:
      return unknown(message);
  }
}

function objectChange(message: Message): Inbound {
  const { operation, resource } = message.route;
  const path = parseResource(resource);
  if (!path?.name) return unknown(message);
  if (operation !== 'insert' && operation !== 'update' && operation !== 'delete') return unknown(message);
  return {
    kind: 'object',
    operation,
    namespace: path.namespace,
    type: path.type,
    name: path.name,
    object: contentObject(message.content),
    message,
  };
}

function membership(message: Message): Inbound {
  const content = contentObject(message.content);
  if (!content) return unknown(message);
  return {
    kind: 'membership',
    added: deviceEntries(content.added_devices),
    removed: deviceEntries(content.removed_devices),
  };
}

function deviceEntries(list: unknown): DeviceEntry[] {
  if (!Array.isArray(list)) return [];
  return list.filter(isRecord).flatMap(({ id, name, description }) =>
    typeof id === 'string' && /^[^/]+\/[^/]+$/.test(id)
      ? [
          {
            id,
            name: typeof name === 'string' ? name : id,
            description: typeof description === 'string' ? description : '',
          },
        ]
      : [],
  );
}

function busMessage(message: Message): Inbound {
  const { source, operation, resource } = message.route;
  if (source !== 'router_eventbus') return unknown(message);
  switch (operation) {
    case 'publish':
      return { kind: 'publish', topic: resource, payload: contentText(message.content) };
    case 'subscribe':
    case 'unsubscribe':
      return { kind: operation, topic: resource };
    case 'message':
      return topicMessage(message);
    case 'get_result':
      return resource === 'auth_info'
        ? { kind: 'authInfo', payload: JSON.stringify(message.content) }
        : unknown(message);
    default:
      return unknown(message);
  }
}

/** A message that names its topic itself and goes there whole. */
function topicMessage(message: Message): Inbound {
  const inner = contentObject(message.content)?.message;
  if (!isRecord(inner) || typeof inner.topic !== 'string') return unknown(message);
  return { kind: 'publish', topic: inner.topic, payload: JSON.stringify(inner) };
}

function unknown(message: Message): Inbound {
  const { source, group, operation, resource } = message.route;
  return {
    kind: 'unknown',
    message,
    why: `source ${source}, group ${group}, operation ${operation}, resource ${resource}`,
  };
}
