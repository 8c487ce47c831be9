import { type Channel, type ChannelDeps, PushError } from '../channel.ts';
import type { Route, Sample } from '../sample.ts';
import type { Target } from '../target.ts';
import { Poster } from './post.ts';

type Reply = { readonly code?: number; readonly desc?: string };

/** Codes of TDengine's parser: the statement is at fault. */
const PARSER = [0x2600, 0x26ff] as const;
/** Of a `binary(64)`. */
const LONGEST = 64;

/** TDengine over its REST API: a super table for a device, a table in it for a property.
 * @source KubeEdge mapper-framework data/dbmethod/tdengine client.go; TDengine REST API */
export class TdengineChannel implements Channel {
  private readonly poster: Poster;
  private readonly path: string;
  private readonly headers: Readonly<Record<string, string>>;
  private readonly made = new Set<string>();

  constructor({ addr, dbName }: Extract<Target, { method: 'tdengine' }>, { credentials }: ChannelDeps) {
    const { userName, password, ca } = credentials;
    this.poster = new Poster(`http://${addr}`, { ca });
    this.path = `/rest/sql/${encodeURIComponent(dbName)}`;
    const authorization = `Basic ${Buffer.from(`${userName}:${password}`).toString('base64')}`;
    this.headers = { 'content-type': 'text/plain; charset=utf-8', authorization };
  }

  async send(samples: readonly Sample[]): Promise<void> {
    for (const { route, value } of samples) {
      if (Buffer.byteLength(value) > LONGEST)
        throw new PushError('refused', `a value of ${route.property} is longer than ${LONGEST} bytes`);
      await this.make(superTable(route));
    }
    await this.run(insertOf(samples));
  }

  close(): void {
    this.poster.close();
  }

  private async make(table: string): Promise<void> {
    if (this.made.has(table)) return;
    const columns =
      'ts timestamp, deviceid binary(64), propertyname binary(64), data binary(64), type binary(64)';
    await this.run(`CREATE STABLE IF NOT EXISTS ${table} (${columns}) TAGS (localtion binary(64))`);
    this.made.add(table);
  }

  private async run(sql: string): Promise<void> {
    const body = await this.poster.post(this.path, this.headers, sql);
    const { code = -1, desc = '' } = parseReply(body);
    if (code === 0) return;
    this.made.clear();
    const isOurs = code >= PARSER[0] && code <= PARSER[1];
    const hex = `0x${code.toString(16)}`;
    throw new PushError(isOurs ? 'refused' : 'away', `TDengine answers ${hex} ${desc}`.trim());
  }
}

/** One statement for all.
 * Differs: KubeEdge names a property's table after the property alone, so that two devices would share it, and quotes none
 * of the names, which a slash needs; queries go to the super table, whose name is KubeEdge's. */
export function insertOf(samples: readonly Sample[]): string {
  const parts = samples.map(({ route, value, at }) => {
    const { namespace, device, property, type } = route;
    const id = `${namespace}/${device}`;
    const values = [new Date(at).toISOString(), id, property, value, type].map(quoted).join(', ');
    const table = named(`${id}/${property}`);
    return `${table} USING ${superTable(route)} TAGS (${quoted(legal(property))}) VALUES (${values})`;
  });
  return `INSERT INTO ${parts.join(' ')}`;
}

function superTable({ namespace, device }: Route): string {
  return named(`${namespace}/${device}`);
}

function legal(name: string): string {
  return name.replaceAll('-', '_');
}

/** A name in backticks; there is no way to have a backtick in one. */
function named(name: string): string {
  return `\`${legal(name).replaceAll('`', '_')}\``;
}

function quoted(text: string): string {
  return `'${text.replace(/['\\]/g, '\\$&')}'`;
}

function parseReply(body: Buffer): Reply {
  try {
    return JSON.parse(body.toString()) as Reply;
  } catch {
    throw new PushError('away', `the answer is not TDengine's: ${body.toString().slice(0, 80)}`);
  }
}
