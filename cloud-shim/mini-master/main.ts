import { parseArgs } from 'node:util';
import { systemClock } from '../../runtime/core/clock.ts';
import { EdgeError, errorText } from '../../runtime/core/errors.ts';
import { createLogger } from '../../runtime/core/log.ts';
import { MiniMaster } from './mini-master.ts';

/** `mini-master --state-dir DIR [--host 127.0.0.1] [--port 6443]`: prints one JSON line when it serves. */
const { values } = parseArgs({
  options: {
    'state-dir': { type: 'string', default: '.state/mini-master' },
    host: { type: 'string', default: '127.0.0.1' },
    port: { type: 'string', default: '6443' },
  },
});

const master = new MiniMaster({
  stateDir: values['state-dir'],
  host: values.host,
  port: Number(values.port),
  clock: systemClock,
  log: createLogger({ level: 'info', clock: systemClock, write: (line) => process.stderr.write(line) }),
});

for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => void master.stop().then(() => process.exit(0)));

master.start().then(
  () =>
    process.stdout.write(
      `${JSON.stringify({ ready: true, url: master.url, kubeconfig: master.kubeconfigPath })}\n`,
    ),
  (error: unknown) => {
    const hint = error instanceof EdgeError ? `\n${error.hint}` : '';
    process.stderr.write(`mini-master: ${errorText(error)}${hint}\n`);
    process.exit(1);
  },
);
