import { type Channel, type ChannelDeps, PushError } from '../channel.ts';
import type { Route, Sample } from '../sample.ts';
import type { Target } from '../target.ts';
import { Poster } from './post.ts';

/** InfluxDB 2, line protocol over HTTP. Values are texts, as KubeEdge's mappers write them.
 * @source KubeEdge mapper-framework data/dbmethod/influxdb2 client.go; InfluxDB 2 /api/v2/write */
export class Influxdb2Channel implements Channel {
  private readonly poster: Poster;
  private readonly path: string;
  private readonly headers: Readonly<Record<string, string>>;

  constructor({ url, org, bucket }: Extract<Target, { method: 'influxdb2' }>, { credentials }: ChannelDeps) {
    this.poster = new Poster(url, { ca: credentials.ca });
    const query = new URLSearchParams({ org, bucket, precision: 'ns' });
    this.path = `${this.poster.url.pathname.replace(/\/$/, '')}/api/v2/write?${query}`;
    this.headers = {
      'content-type': 'text/plain; charset=utf-8',
      ...(credentials.token ? { authorization: `Token ${credentials.token}` } : {}),
    };
  }

  async send(samples: readonly Sample[]): Promise<void> {
    try {
      await this.poster.post(this.path, this.headers, samples.map(lineOf).join('\n'));
    } catch (error) {
      if (!(error instanceof PushError) || !/answers 40[13]/.test(error.message)) throw error;
      throw new PushError(
        'away',
        `${error.message}: set the environment variable TOKEN, or modules.push.credentials`,
      );
    }
  }

  close(): void {
    this.poster.close();
  }
}

/** `measurement,tag=value field="21.5" 1700000000000000001`. */
export function lineOf({ route, value, at, n }: Sample): string {
  const { measurement = '', fieldKey = '' } = route;
  const field = `${escaped(fieldKey, /[,= ]/g)}="${value.replace(/["\\]/g, '\\$&')}"`;
  // A point of the same series and time takes the place of the one before: values of one millisecond must differ.
  const time = BigInt(Math.round(at)) * 1_000_000n + BigInt(n % 1_000_000);
  return `${escaped(measurement, /[, ]/g)}${tagsOf(route)} ${field} ${time}`;
}

function tagsOf({ tag = {} }: Route): string {
  // An empty value is none for InfluxDB, and a fault.
  const pairs = Object.entries(tag).filter(([, value]) => value !== '');
  pairs.sort(([a], [b]) => (a < b ? -1 : 1));
  return pairs.map(([key, value]) => `,${escaped(key, /[,= ]/g)}=${escaped(value, /[,= ]/g)}`).join('');
}

function escaped(text: string, special: RegExp): string {
  return text.replaceAll('\n', ' ').replace(special, '\\$&');
}
