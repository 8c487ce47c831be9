import { createReadStream, existsSync, statSync, watch } from 'node:fs';
import type { Writable } from 'node:stream';

/** Which lines of a log are wanted.
 * @source Kubernetes API: PodLogOptions */
export type LogOptions = {
  readonly follow: boolean;
  readonly tailLines: number | undefined;
  readonly timestamps: boolean;
  /** ms since epoch. */
  readonly since: number | undefined;
  readonly limitBytes: number | undefined;
};

type Line = { readonly time: string; readonly text: string; readonly whole: boolean };

/** Splits one line as the runtime writes it: `<RFC 3339 nano> <stdout|stderr> <P|F> <text>`.
 * @source Kubernetes: CRI container log format */
export function parseLogLine(line: string): Line | undefined {
  const match = line.match(/^(\S+) (?:stdout|stderr) ([PF])(?:\S*) (.*)$/s);
  if (!match?.[1]) return undefined;
  return { time: match[1], text: match[3] ?? '', whole: match[2] === 'F' };
}

/** Writes a container's log to `out`, and with `follow` what is added until `ended` says that no more will come.
 * @returns when all is written or `signal` aborts */
export async function copyLog(
  path: string,
  options: LogOptions,
  out: Writable,
  ended: () => boolean,
  signal: AbortSignal,
): Promise<void> {
  let offset = 0;
  let budget = options.limitBytes ?? Number.POSITIVE_INFINITY;
  let skip = options.tailLines === undefined ? 0 : Math.max(0, (await countLines(path)) - options.tailLines);
  while (!signal.aborted) {
    const finished = ended();
    const upTo = existsSync(path) ? statSync(path).size : 0;
    // It was put aside, and this is a new one.
    if (upTo < offset) offset = 0;
    for await (const { line, end } of linesOf(path, offset, upTo)) {
      if (signal.aborted) return;
      offset = end;
      if (skip-- > 0) continue;
      const shownLine = shown(line, options);
      if (shownLine === undefined) continue;
      const text = Buffer.from(shownLine).subarray(0, budget);
      budget -= text.length;
      if (!out.write(text)) await drained(out, signal);
      if (budget <= 0) return;
    }
    if (!options.follow || (finished && offset >= upTo)) return;
    await changed(path, upTo, signal);
  }
}

function shown(line: string, { since, timestamps }: LogOptions): string | undefined {
  const parsed = parseLogLine(line);
  if (!parsed) return undefined;
  if (since !== undefined && Date.parse(parsed.time) < since) return undefined;
  return `${timestamps ? `${parsed.time} ` : ''}${parsed.text}${parsed.whole ? '\n' : ''}`;
}

async function* linesOf(
  path: string,
  from: number,
  upTo: number,
): AsyncGenerator<{ line: string; end: number }> {
  if (from >= upTo) return;
  let rest = Buffer.alloc(0);
  let end = from;
  // Split by bytes: a terminal's lines hold carriage returns, and not every program writes UTF-8.
  for await (const chunk of createReadStream(path, { start: from, end: upTo - 1 })) {
    rest = Buffer.concat([rest, chunk as Buffer]);
    for (let length = rest.indexOf('\n'); length >= 0; length = rest.indexOf('\n')) {
      end += length + 1;
      yield { line: rest.toString('utf8', 0, length), end };
      rest = rest.subarray(length + 1);
    }
  }
  // What is left is a line that is still in writing.
}

async function countLines(path: string): Promise<number> {
  let count = 0;
  if (existsSync(path)) for await (const _ of linesOf(path, 0, statSync(path).size)) count++;
  return count;
}

function drained(out: Writable, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    out.once('drain', resolve);
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

/** Resolves when the file has grown, after a second at the latest. */
function changed(path: string, size: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = (): void => {
      clearTimeout(timer);
      watcher?.close();
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, 1000);
    signal.addEventListener('abort', done, { once: true });
    let watcher: ReturnType<typeof watch> | undefined;
    try {
      const look = (): void => {
        if (existsSync(path) && statSync(path).size > size) done();
      };
      watcher = watch(path, look);
      watcher.on('error', done);
      // It may have grown before the watch was there.
      look();
    } catch {
      // Not there yet: looked at again in a second.
    }
  });
}
