import type { Channel, ChannelDeps, Notes } from '../channel.ts';
import type { Sample } from '../sample.ts';
import type { Target } from '../target.ts';
import { Poster } from './post.ts';
import { dateTime } from './time.ts';

/** Each value in a POST of its own, a form of the property and the time.
 * @source KubeEdge mapper-framework data/publish/http client.go */
export class HttpChannel implements Channel {
  private readonly poster: Poster;
  private readonly headers: Readonly<Record<string, string>>;

  constructor(target: Extract<Target, { method: 'http' }>, { credentials }: ChannelDeps) {
    const { userName, password, token, ca } = credentials;
    this.poster = new Poster(target.url, { timeout: target.timeout * 1000, ca });
    const basic = userName ? `Basic ${Buffer.from(`${userName}:${password}`).toString('base64')}` : '';
    const authorization = token ? `Bearer ${token}` : basic;
    this.headers = {
      'content-type': 'application/x-www-form-urlencoded',
      ...(authorization ? { authorization } : {}),
    };
  }

  async send(samples: readonly Sample[], notes: Notes): Promise<void> {
    for (const [i, sample] of samples.entries()) {
      await this.poster.post(sample.route.path ?? '/', this.headers, formOf(sample));
      notes.confirmed(i + 1);
    }
  }

  close(): void {
    this.poster.close();
  }
}

/** `temperature=21.5&time=2026-01-31 10:00:00`.
 * Differs: KubeEdge does not escape a value that would end the field. */
export function formOf({ route, value, at }: Sample): string {
  return `${escaped(route.property)}=${escaped(value)}&time=${dateTime(at)}`;
}

function escaped(text: string): string {
  return text.replace(/[^\x20-\x7e]|[%&=+#]/gu, encodeURIComponent);
}
