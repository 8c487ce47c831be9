import type { Channel, ChannelDeps } from './channel.ts';
import type { Target } from './target.ts';

/** Opens the way to a target; each method's code is loaded when it is first used.
 * @throws PushError */
export async function openChannel(target: Target, deps: ChannelDeps): Promise<Channel> {
  switch (target.method) {
    case 'http':
      return new (await import('./channels/http.ts')).HttpChannel(target, deps);
    case 'mqtt':
      return (await import('./channels/mqtt.ts')).openMqtt(target, deps);
    case 'otel':
      return new (await import('./channels/otel.ts')).OtelChannel(target, deps);
    case 'influxdb2':
      return new (await import('./channels/influxdb2.ts')).Influxdb2Channel(target, deps);
    case 'redis':
      return (await import('./channels/redis.ts')).openRedis(target, deps);
    case 'mysql':
      return (await import('./channels/mysql.ts')).openMysql(target, deps);
    case 'tdengine':
      return new (await import('./channels/tdengine.ts')).TdengineChannel(target, deps);
    default:
      return target satisfies never;
  }
}
