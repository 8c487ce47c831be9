import { realpathSync } from 'node:fs';
import { dirname } from 'node:path';
import { parseArgs } from 'node:util';
import { blankToken, DEFAULT_CONFIG, defaultConfigText, loadConfig, minConfigText } from './config/config.ts';
import { systemClock, withTimeout } from './core/clock.ts';
import { errorCode, errorText } from './core/errors.ts';
import { createLogger, type Logger } from './core/log.ts';
import { type Millis, seconds } from './core/units.ts';
import { EdgeCore } from './edgecore.ts';
import { bootId, journalReads, uptime } from './host/machine.ts';
import {
  resetRestarts,
  runSystemdNotify,
  type ServiceManager,
  serviceManager,
} from './host/service-manager.ts';
import type { SlotPlaces } from './upgrade/upgrade.ts';
import { builtAt, version } from './version.ts';

const usage = `edgecore ${version}: a Kubernetes edge node

  edgecore [OPTIONS]     run the node
  edgecore COMMAND       join, check, get, describe, logs, exec, mapper, device, upgrade, confirm, rollback, backup,
                         restore, collect, reset, completion: edgecore COMMAND --help

  --config FILE     configuration, default ${DEFAULT_CONFIG}
  --minconfig       print the least configuration and exit
  --defaultconfig   print every key with its default and exit
  --version         print the version and exit
  --help            print this and exit
`;
/** What is flushed by then is safe; the unit's TimeoutStopSec is longer. */
const STOP_LIMIT = seconds(10);
/** A start may take long: a damaged database is read row by row. It is announced so often, and for so long each time. */
const START_NEWS = seconds(20);
const START_MORE = seconds(60);

/** Exit codes: 0 stopped when asked, 1 could not run, 2 the command line or the configuration is wrong. */
async function main(): Promise<number> {
  const [command, ...rest] = process.argv.slice(2);
  if (command && !command.startsWith('-')) {
    // Loaded when it is asked for: the node itself has no use for it.
    const { runCommand } = await import('./cli/cli.ts');
    const { stdout, stderr } = process;
    // `edgecore logs POD | head` has read enough.
    for (const stream of [stdout, stderr]) stream.on('error', () => process.exit(1));
    const print = (text: string): void => void stdout.write(text);
    try {
      return await runCommand(command, rest, { print, assets: assets(), version, slots: slotPlaces() });
    } finally {
      // A pipe may not have taken all yet, and the exit would drop the rest.
      for (const stream of [stdout, stderr]) await new Promise((flushed) => stream.write('', flushed));
    }
  }
  const options = readArguments();
  if (typeof options === 'number') return options;
  const config = loadConfig(options.config);
  const log = createLogger({
    level: config.logLevel,
    clock: systemClock,
    write: (line) => process.stdout.write(line),
    priorities: journalReads(1, process.env.JOURNAL_STREAM),
  });
  const { env, pid } = process;
  return run(
    config,
    options.config,
    log,
    serviceManager({ env, pid, run: runSystemdNotify, reset: resetRestarts }),
  );
}

async function run(
  config: ReturnType<typeof loadConfig>,
  path: string,
  log: Logger,
  manager: ServiceManager,
): Promise<number> {
  const extend = (by: Millis): Promise<void> => manager.tell(`EXTEND_TIMEOUT_USEC=${by * 1000}`);
  await extend(START_MORE);
  const abort = new AbortController();
  let restartAsked: string | undefined;
  let askToStop: (why: string) => void = () => {};
  const stopAsked = new Promise<string>((resolve) => {
    askToStop = resolve;
    for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => resolve(name));
  });
  const core = new EdgeCore({
    config,
    version,
    assets: assets(),
    clock: systemClock,
    host: { boot: bootId(), uptime, builtAt },
    manager,
    log,
    random: Math.random,
    environment: process.env,
    joined: () => forgetToken(path, log),
    slots: slotPlaces(),
    restart: (reason) => {
      restartAsked = reason;
      void manager.forgive();
      askToStop('restart');
    },
  });
  process.on('SIGHUP', () => core.reload());
  const starting = systemClock.every(START_NEWS, () => void extend(START_MORE));
  try {
    // A start that waits for something must not keep the process from being stopped.
    const early = await Promise.race([core.start(abort.signal), stopAsked]);
    starting.cancel();
    if (!early) {
      log.info('started', { version, node: config.modules.edged.hostnameOverride, pid: process.pid });
      void manager.tell('READY=1');
    }
    log.info('stopping', { signal: await stopAsked });
  } finally {
    starting.cancel();
    void manager.tell('STOPPING=1', `EXTEND_TIMEOUT_USEC=${(STOP_LIMIT + seconds(5)) * 1000}`);
    abort.abort();
    await withTimeout(systemClock, STOP_LIMIT, core.stop(), () => new Error('modules did not stop in time'));
  }
  return restartAsked === undefined ? 0 : 1;
}

/** What lies beside the program. */
function assets(): string[] {
  return [dirname(realpathSync(process.argv[1] ?? '.'))];
}

/** Where the launcher says that other versions lie. */
function slotPlaces(): SlotPlaces | undefined {
  const { EDGECORE_SLOTS: folder, EDGECORE_BASE: base } = process.env;
  return folder && base ? { folder, base } : undefined;
}

function readArguments(): { config: string } | number {
  const { values } = parseArgs({
    options: {
      config: { type: 'string', default: DEFAULT_CONFIG },
      minconfig: { type: 'boolean', default: false },
      defaultconfig: { type: 'boolean', default: false },
      version: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  const text = printed(values);
  if (text === undefined) return { config: values.config };
  process.stdout.write(text);
  return 0;
}

function printed(values: Readonly<Record<string, unknown>>): string | undefined {
  if (values.help) return usage;
  if (values.version) return `${version}\n`;
  if (values.minconfig) return minConfigText();
  if (values.defaultconfig) return defaultConfigText();
  return undefined;
}

/** The token is good for joining once; left in the file it would only be a secret lying about. */
function forgetToken(path: string, log: Logger): void {
  try {
    blankToken(path);
  } catch (error) {
    log.warn('the used join token could not be blanked in the configuration', { reason: errorText(error) });
  }
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    // Commands are a file of their own, with a class of errors of their own.
    const { hint } = error as { hint?: unknown };
    const text = `edgecore: ${errorText(error)}${typeof hint === 'string' ? `\n${hint}` : ''}\n`;
    const isRead = journalReads(2, process.env.JOURNAL_STREAM);
    process.stderr.write(isRead ? text.replace(/^(?=.)/gm, '<3>') : text);
    const code = errorCode(error) ?? '';
    const wrongInput =
      /^(CONFIG_|CLI_USAGE$|MQTT_AUTH_FILE_INVALID$)/.test(code) ||
      (hint === undefined && error instanceof TypeError);
    process.exit(wrongInput ? 2 : 1);
  },
);
