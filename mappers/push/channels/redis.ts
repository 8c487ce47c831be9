import { type Channel, type ChannelDeps, PushError } from '../channel.ts';
import type { Sample } from '../sample.ts';
import type { Target } from '../target.ts';
import { PushSocket } from './socket.ts';

/** What speaks of the key or the value, and not of the server. */
const REFUSALS = /^-(WRONGTYPE|ERR value)/;

/** Connects and logs in. @throws PushError away */
export async function openRedis(
  { addr, db }: Extract<Target, { method: 'redis' }>,
  { credentials, clock }: ChannelDeps,
): Promise<Channel> {
  const { userName, password } = credentials;
  const channel = new RedisChannel(await PushSocket.open(addr, clock));
  try {
    if (password) await channel.ask([['AUTH', ...(userName ? [userName] : []), password]]);
    await channel.ask([['SELECT', String(db)]]);
  } catch (error) {
    channel.close();
    if (!(error instanceof PushError) || !/NOAUTH|WRONGPASS|AUTH/.test(error.message)) throw error;
    throw new PushError(
      'away',
      `${error.message}: set the environment variable PASSWORD, or modules.push.credentials`,
    );
  }
  return channel;
}

/** A sorted set for each device, under its name: the value as JSON, its time in ms as the score. A value that is sent again
 * is the same member.
 * @source KubeEdge mapper-framework data/dbmethod/redis client.go; RESP */
class RedisChannel implements Channel {
  private readonly socket: PushSocket;

  constructor(socket: PushSocket) {
    this.socket = socket;
  }

  async send(samples: readonly Sample[]): Promise<void> {
    await this.ask(samples.map((sample) => ['ZADD', sample.route.device, `${sample.at}`, memberOf(sample)]));
  }

  close(): void {
    this.socket.close();
  }

  /** Sends commands together and reads all answers. @throws PushError of the first that was refused */
  async ask(commands: readonly (readonly string[])[]): Promise<void> {
    this.socket.write(Buffer.concat(commands.map(commandOf)));
    let fault: PushError | undefined;
    for (const _ of commands) {
      const reply = await this.socket.line();
      if (reply.startsWith('-')) fault ??= faultOf(reply);
      else if (!/^[+:]/.test(reply)) throw new PushError('away', `the answer is not Redis's: ${reply}`);
    }
    if (fault) throw fault;
  }
}

/** What KubeEdge's mapper framework calls DataModel. */
export function memberOf({ route, value, at }: Sample): string {
  const { namespace, device, property, type } = route;
  return JSON.stringify({
    DeviceName: device,
    PropertyName: property,
    Namespace: namespace,
    Value: value,
    Type: type,
    TimeStamp: Math.round(at),
  });
}

function commandOf(words: readonly string[]): Buffer {
  const parts = words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`);
  return Buffer.from(`*${words.length}\r\n${parts.join('')}`);
}

function faultOf(reply: string): PushError {
  return new PushError(REFUSALS.test(reply) ? 'refused' : 'away', `Redis answers ${reply.slice(1)}`);
}
