import type { Clock } from './clock.ts';
import { EdgeError } from './errors.ts';
import { isoTime } from './iso-time.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** Values that go with a line. Keys are lower camel case; never payloads above debug, never secrets. */
export type LogFields = Readonly<Record<string, unknown>>;

/** Where every module writes its diagnostics. */
export interface Logger {
  /** `fields` is a thunk: building it costs nothing while debug is off. */
  debug(message: string, fields?: () => LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** A logger whose lines carry `module`. */
  child(module: string): Logger;
}

export type LogOptions = {
  readonly level: LogLevel;
  readonly clock: Clock;
  /** Takes one finished line, newline included. */
  readonly write: (line: string) => void;
  /** Whether a line begins with its priority, `<4>`, which the journal takes off and filters by.
   * @source sd-daemon(3) */
  readonly priorities?: boolean;
};

const order: Record<LogLevel, number> = { debug: 0, info: 1, warn: 2, error: 3 };
/** As in syslog(3). */
const priority: Record<LogLevel, number> = { debug: 7, info: 6, warn: 4, error: 3 };
const REPEAT_WINDOW = 60_000;
const REPEAT_MEMORY = 256;

/** Makes a logger that writes one JSON object a line, for journald.
 * A warning or error with the same module and message is written at most once a minute; the next
 * line then says how many were left out. The journal lies on the same flash as the data. */
export function createLogger(options: LogOptions): Logger {
  const repeats = new Map<string, { until: number; suppressed: number }>();

  const suppress = (key: string): number | undefined => {
    const now = options.clock.monotonic();
    const seen = repeats.get(key);
    if (seen && now < seen.until) {
      seen.suppressed++;
      return undefined;
    }
    if (repeats.size >= REPEAT_MEMORY) repeats.clear();
    repeats.set(key, { until: now + REPEAT_WINDOW, suppressed: 0 });
    return seen?.suppressed ?? 0;
  };

  const write = (level: LogLevel, module: string, message: string, fields: LogFields | undefined): void => {
    const line: Record<string, unknown> = {
      time: isoTime(options.clock.now()),
      level,
      module,
      message,
    };
    if (order[level] >= order.warn) {
      const suppressed = suppress(`${module} ${message} ${identity(fields)}`);
      if (suppressed === undefined) return;
      if (suppressed > 0) line.suppressed = suppressed;
    }
    for (const [key, value] of Object.entries(fields ?? {})) line[key] = printable(value);
    options.write(`${options.priorities ? `<${priority[level]}>` : ''}${JSON.stringify(line)}\n`);
  };

  const make = (module: string): Logger => ({
    debug: (message, fields) => {
      if (options.level === 'debug') write('debug', module, message, fields?.());
    },
    info: (message, fields) => {
      if (order[options.level] <= order.info) write('info', module, message, fields);
    },
    warn: (message, fields) => {
      if (order[options.level] <= order.warn) write('warn', module, message, fields);
    },
    error: (message, fields) => write('error', module, message, fields),
    child: (name) => make(name),
  });
  return make('edgecore');
}

/** A logger that writes nothing, for tests and tools. */
export const silentLogger: Logger = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  child: () => silentLogger,
};

/** What tells one warning from another of the same text: the subject, not the detail that varies. */
function identity(fields: LogFields | undefined): string {
  if (!fields) return '';
  return ['device', 'pod', 'client', 'resource', 'listener', 'code'].map((k) => fields[k] ?? '').join(' ');
}

function printable(value: unknown): unknown {
  if (value instanceof EdgeError) {
    const cause = value.cause instanceof Error ? value.cause.message : undefined;
    return { code: value.code, message: value.message, hint: value.hint, ...(cause ? { cause } : {}) };
  }
  if (value instanceof Error) return value.message;
  return value;
}
