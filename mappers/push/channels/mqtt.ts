import { randomBytes } from 'node:crypto';
import { type Clock, withTimeout } from '../../../runtime/core/clock.ts';
import { errorText } from '../../../runtime/core/errors.ts';
import { seconds } from '../../../runtime/core/units.ts';
import { type Channel, type ChannelDeps, type LocalBroker, PushError } from '../channel.ts';
import type { Sample } from '../sample.ts';
import type { Target } from '../target.ts';
import { MqttPublisher } from './mqtt-publisher.ts';
import { PushSocket } from './socket.ts';
import { dateTime } from './time.ts';

const LIMIT = seconds(30);

type MqttTarget = Extract<Target, { method: 'mqtt' }>;

/** Connects to an external broker; the one of this process is there. @throws PushError away */
export async function openMqtt({ address }: MqttTarget, deps: ChannelDeps): Promise<Channel> {
  if (deps.broker.isAt(address)) return new LocalChannel(deps);
  const { userName, password, ca } = deps.credentials;
  const url = new URL(address);
  const isSecure = ['ssl:', 'mqtts:', 'tls:'].includes(url.protocol);
  const hostPort = `${url.hostname}:${url.port || (isSecure ? 8883 : 1883)}`;
  const socket = await PushSocket.open(hostPort, deps.clock, isSecure ? { ca } : undefined);
  const publisher = new MqttPublisher(socket);
  try {
    await publisher.logIn({
      clientId: `edgecore-push-${randomBytes(6).toString('hex')}`,
      userName,
      password,
    });
  } catch (error) {
    socket.close();
    throw error;
  }
  return new RemoteChannel(publisher);
}

/** What KubeEdge's mappers publish.
 * @source KubeEdge mapper-framework data/publish/mqtt client.go */
export function payloadOf({ route, value, at }: Sample): string {
  return `time is ${dateTime(at)}  ${route.topic}: ${value}`;
}

class LocalChannel implements Channel {
  private readonly broker: LocalBroker;
  private readonly clock: Clock;

  constructor({ broker, clock }: ChannelDeps) {
    this.broker = broker;
    this.clock = clock;
  }

  async send(samples: readonly Sample[]): Promise<void> {
    const published = Promise.all(samples.map((sample) => this.broker.publish(messageOf(sample))));
    const late = (): Error => new Error('the disk takes nothing');
    await withTimeout(this.clock, LIMIT, published, late).catch((error: unknown) => {
      throw new PushError('away', `the broker of this node cannot keep it: ${errorText(error)}`);
    });
  }

  close(): void {}
}

class RemoteChannel implements Channel {
  private readonly publisher: MqttPublisher;

  constructor(publisher: MqttPublisher) {
    this.publisher = publisher;
  }

  async send(samples: readonly Sample[]): Promise<void> {
    await this.publisher.publish(samples.map(messageOf));
  }

  close(): void {
    this.publisher.close();
  }
}

function messageOf(sample: Sample) {
  const { topic = '', qos = 0, retained = false } = sample.route;
  return { topic, payload: Buffer.from(payloadOf(sample)), qos, retain: retained };
}
