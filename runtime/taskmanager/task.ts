import { contentObject, type Message } from '../core/message.ts';

/** What a job asks of this node. */
export type Task = {
  /** `nodeupgradejob`, `imageprepulljob`, `configupdatejob`. */
  readonly kind: string;
  readonly job: string;
  /** Of the message; reports carry the same. */
  readonly resource: string;
  /** The action to begin with. */
  readonly action: string;
  readonly spec: Readonly<Record<string, unknown>>;
};

/** What is told of one action of a job. */
export type ActionReport = {
  readonly action: string;
  readonly succ: boolean;
  /** RFC 3339. */
  readonly finishTime: string;
  readonly reason: string;
  readonly extend: string;
};

/** Reads a message of group taskmanager.
 * @returns undefined for what is not in the form of v1alpha2
 * @source KubeEdge pkg/nodetask/message Resource */
export function parseTask(message: Message): Task | undefined {
  const { resource, operation } = message.route;
  const [, kind = '', job = ''] =
    /^operations\.kubeedge\.io\/v1alpha2\/([a-z]+)\/([^/]+)\/node\/[^/]+$/.exec(resource) ?? [];
  if (!kind) return undefined;
  return { kind, job, resource, action: operation, spec: contentObject(message.content) ?? {} };
}
