import { realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { systemClock, withTimeout } from '../runtime/core/clock.ts';
import { EdgeError, errorText } from '../runtime/core/errors.ts';
import { createLogger } from '../runtime/core/log.ts';
import { seconds } from '../runtime/core/units.ts';
import { version } from '../runtime/version.ts';
import { CloudCore } from './cloudcore.ts';
import { defaultConfigText, loadConfig, minConfigText } from './config/config.ts';
import type { CloudCoreConfig } from './config/schema.ts';
import { KubeClient } from './kube/client.ts';
import { loadAccess } from './kube/kubeconfig.ts';

const DEFAULT_CONFIG = '/etc/kubeedge/config/cloudcore.yaml';
const usage = `cloud-shim ${version}: connects edge nodes to a Kubernetes API server

  --config FILE      configuration, default ${DEFAULT_CONFIG}
  --kubeconfig FILE  instead of kubeAPIConfig.kubeConfig; without both, the service account of this pod
  --minconfig        print the least configuration and exit
  --defaultconfig    print every key with its default and exit
  --version          print the version and exit
  --help             print this and exit
`;
const STOP_LIMIT = seconds(20);

/** Exit codes: 0 stopped when asked, 1 could not run, 2 the command line or the configuration is wrong. */
async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      config: { type: 'string', default: DEFAULT_CONFIG },
      kubeconfig: { type: 'string', default: '' },
      minconfig: { type: 'boolean', default: false },
      defaultconfig: { type: 'boolean', default: false },
      version: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  const printed = [
    [values.help, () => usage],
    [values.version, () => `${version}\n`],
    [values.minconfig, minConfigText],
    [values.defaultconfig, defaultConfigText],
  ] as const;
  for (const [asked, text] of printed) {
    if (!asked) continue;
    process.stdout.write(text());
    return 0;
  }
  const config = loadConfig(values.config);
  return run(config, values.kubeconfig || config.kubeAPIConfig.kubeConfig);
}

async function run(config: CloudCoreConfig, kubeconfig: string): Promise<number> {
  const access = loadAccess(kubeconfig);
  const log = createLogger({
    level: config.logLevel,
    clock: systemClock,
    write: (line) => process.stdout.write(line),
  }).child('cloud-shim');
  const stopAsked = new Promise<string>((resolve) => {
    for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => resolve(name));
  });
  const client = new KubeClient(access);
  const core = new CloudCore({
    config,
    api: client,
    clusterCa: access.ca ?? '',
    crds: join(dirname(realpathSync(process.argv[1] ?? '.')), 'crds'),
    clock: systemClock,
    log,
    random: Math.random,
  });
  try {
    await core.start();
    log.info('started', { version, server: access.server, ...core.ports });
    log.info('stopping', { signal: await stopAsked });
  } finally {
    await withTimeout(systemClock, STOP_LIMIT, core.stop(), () => new Error('it did not stop in time'));
    client.close();
  }
  return 0;
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    const hint = error instanceof EdgeError ? `\n${error.hint}` : '';
    process.stderr.write(`cloud-shim: ${errorText(error)}${hint}\n`);
    const wrongInput =
      error instanceof EdgeError ? error.code.startsWith('CONFIG_') : error instanceof TypeError;
    process.exit(wrongInput ? 2 : 1);
  },
);
