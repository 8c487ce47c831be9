import { request as httpRequest, type IncomingMessage } from 'node:http';
import { parseDevice } from '../../core/devices.ts';
import { errorText } from '../../core/errors.ts';
import { collectionOf, keyOf } from './api-path.ts';
import type { Extensions } from './api-server.ts';
import { bodyObject, type Call, isTrue } from './call.ts';
import { type Answer, jsonAnswer } from './documents.ts';
import type { LocalPods, OwnObjects } from './metaserver.ts';
import type { ObjectCache } from './object-cache.ts';
import { badRequest, notAllowed, notOffered, refusal, unavailable } from './refusal.ts';

export type NodeExtensionsDeps = {
  readonly pods: LocalPods;
  readonly own: OwnObjects;
  readonly cache: ObjectCache;
};

const LOG_QUERY = [
  'follow',
  'tailLines',
  'sinceSeconds',
  'sinceTime',
  'timestamps',
  'limitBytes',
  'previous',
];
const LARGEST_LOG = 4 * 1024 * 1024;
const LOG_TIMEOUT = 10_000;

/** What this node does by itself, with the cloud or without.
 * @source KubeEdge edge/pkg/metamanager/metaserver handlerfactory */
export class NodeExtensions implements Extensions {
  private readonly deps: NodeExtensionsDeps;

  constructor(deps: NodeExtensionsDeps) {
    this.deps = deps;
  }

  async serve(call: Call): Promise<Answer | 'served' | undefined> {
    const { group, plural, name, subresource } = call.path;
    if (group === '' && plural === 'pods') {
      if (subresource === 'log') return this.log(call);
      if (subresource === 'exec') return this.exec(call);
      if (subresource === 'attach' || subresource === 'portforward')
        throw notOffered(`${subresource} is not offered on the node`);
      if (name === 'restart' && call.method === 'POST') return this.restart(call);
    }
    if (name === 'unhold-upgrade' && call.method === 'POST')
      throw notOffered('upgrades are not held back on this node');
    if (plural === 'taskupgrade') throw badRequest('no upgrade waits for a confirmation');
    if (group === 'devices.kubeedge.io' && plural === 'devices' && call.method === 'PUT' && !subresource)
      return this.putDevice(call);
    return undefined;
  }

  /** The desired state of a device, set here: it is kept and acted on at once. */
  private async putDevice(call: Call): Promise<Answer> {
    const { namespace, name } = call.path;
    const object = bodyObject(call);
    const parsed = parseDevice(object);
    if ('refused' in parsed)
      throw refusal(422, 'Invalid', `Device.devices.kubeedge.io "${name}" is invalid: ${parsed.refused}`);
    if (parsed.metadata.name !== name || parsed.metadata.namespace !== namespace)
      throw badRequest('the name in the body is not that of the URL');
    await this.deps.own.keep({ operation: 'update', type: 'device', namespace, name, object });
    return jsonAnswer(object);
  }

  private async restart(call: Call): Promise<Answer> {
    const { namespace = 'default' } = call.path;
    const errMessages: string[] = [];
    const LogMessages: string[] = [];
    for (const pod of podNames(call.body)) {
      try {
        const stopped = await this.deps.pods.restart(namespace, pod);
        if ('missing' in stopped) errMessages.push(stopped.missing);
        else
          LogMessages.push(`pod ${namespace}/${pod}: stopped ${stopped.containers.join(', ') || 'nothing'}`);
      } catch (error) {
        errMessages.push(`pod ${namespace}/${pod}: ${errorText(error)}`);
      }
    }
    return jsonAnswer({ errMessages, LogMessages });
  }

  private async exec({ method, path, query, request }: Call): Promise<Answer> {
    if (request.headers.upgrade)
      throw notOffered('exec with a stream is not offered on the node: use its own form');
    if (method !== 'POST') throw notAllowed();
    if (isTrue(query.get('tty')) || isTrue(query.get('stdin')))
      throw notOffered('exec with a terminal or with input is not offered on the node');
    const { namespace = 'default', name } = path;
    const command = query.getAll('command');
    if (command.length === 0) throw badRequest('there is no command');
    const answer = { errMessages: [] as string[], runOutMessages: '', runErrMessages: '' };
    try {
      const done = await this.deps.pods.exec(namespace, name, query.get('container') ?? '', command);
      if ('missing' in done) answer.errMessages.push(done.missing);
      else {
        answer.runOutMessages = done.stdout;
        answer.runErrMessages = done.stderr;
        if (done.exitCode !== 0) answer.errMessages.push(`the command ended with ${done.exitCode}`);
      }
    } catch (error) {
      answer.errMessages.push(errorText(error));
    }
    return jsonAnswer(answer);
  }

  /** Differs: plain text, as Kubernetes has it, but for KubeEdge's own tool. */
  private async log(call: Call): Promise<Answer | 'served'> {
    const { path, query, agent, response } = call;
    if (call.method !== 'GET') throw notAllowed();
    const { namespace = 'default', name } = path;
    const container = query.get('container') || this.onlyContainer(call);
    const wanted = new URLSearchParams();
    for (const key of LOG_QUERY) {
      const value = query.get(key);
      if (value !== null) wanted.set(key, value);
    }
    const target = ['containerLogs', namespace, name, container].map(encodeURIComponent).join('/');
    const source = await openLog(this.deps.pods.kubeletPort, `/${target}?${wanted}`);
    if (agent.startsWith('keadm') && !isTrue(query.get('follow'))) return this.wrappedLog(source);
    if (source.statusCode !== 200)
      throw refusal(404, 'NotFound', (await textOf(source)) || `there is no log of ${name}`);
    response.writeHead(200, { 'Content-Type': 'text/plain' });
    response.flushHeaders();
    response.once('close', () => source.destroy());
    source.on('error', () => response.destroy());
    source.pipe(response);
    return 'served';
  }

  private async wrappedLog(source: IncomingMessage): Promise<Answer> {
    const text = await textOf(source);
    return source.statusCode === 200
      ? jsonAnswer({ errMessages: [], logMessages: [text] })
      : jsonAnswer({ errMessages: [text], logMessages: [] });
  }

  private onlyContainer({ path }: Call): string {
    const pod = this.deps.cache.get(keyOf(collectionOf(path), path.namespace, path.name));
    const { spec } = (pod ?? {}) as { spec?: { containers?: readonly { readonly name: string }[] } };
    const names = (spec?.containers ?? []).map(({ name }) => name);
    if (names.length > 1)
      throw badRequest(
        `a container name must be specified for pod ${path.name}, choose one of: [${names.join(' ')}]`,
      );
    if (!names[0]) throw refusal(404, 'NotFound', `pods "${path.name}" not found on this node`);
    return names[0];
  }
}

function podNames(body: Buffer): string[] {
  try {
    const names: unknown = JSON.parse(body.toString());
    if (Array.isArray(names) && names.every((name) => typeof name === 'string')) return names;
  } catch {
    // said below
  }
  throw badRequest('want a JSON list of pod names');
}

function openLog(port: number, path: string): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const call = httpRequest({ host: '127.0.0.1', port, path, agent: false, timeout: LOG_TIMEOUT });
    call.once('timeout', () => call.destroy(new Error('the kubelet port does not answer')));
    call.once('error', (error) => reject(unavailable(`no logs: ${errorText(error)}`)));
    call.once('response', (response) => {
      call.setTimeout(0); // a log that is followed may be silent for long
      resolve(response);
    });
    call.end();
  });
}

async function textOf(response: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of response.setEncoding('utf8')) {
    text += String(chunk);
    if (text.length > LARGEST_LOG) break;
  }
  return text.slice(0, LARGEST_LOG);
}
