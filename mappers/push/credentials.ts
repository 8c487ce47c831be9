import { readFileSync } from 'node:fs';
import { errorText } from '../../runtime/core/errors.ts';
import { type Credentials, PushError } from './channel.ts';
import type { PushConfig, PushEnvironment } from './config.ts';
import { addressOf, type Target } from './target.ts';

/** How to log in to a target: by the configuration, else by the environment.
 * @throws PushError away, when a file cannot be read */
export function credentialsFor(
  target: Target,
  config: PushConfig['credentials'],
  environment: PushEnvironment,
): Credentials {
  const address = addressOf(target);
  const found = config.find(
    (entry) => entry.method === target.method && (entry.address === '' || entry.address === address),
  );
  if (!found) return fromEnvironment(target, environment);
  return {
    userName: found.userName,
    password: secret(found.passwordFile),
    token: secret(found.tokenFile),
    ca: found.caFile ? readFile(found.caFile) : undefined,
  };
}

/** Each method reads what KubeEdge's does: a password of one must not reach another. */
function fromEnvironment({ method }: Target, { TOKEN, USERNAME, PASSWORD }: PushEnvironment): Credentials {
  const hasPassword = method === 'redis' || method === 'mysql' || method === 'tdengine';
  return {
    userName: method === 'tdengine' ? (USERNAME ?? '') : '',
    password: hasPassword ? (PASSWORD ?? '') : '',
    token: method === 'influxdb2' ? (TOKEN ?? '') : '',
    ca: undefined,
  };
}

/** Editors end a file with a line's end, which belongs to no secret. */
function secret(path: string): string {
  return path ? readFile(path).replace(/\r?\n$/, '') : '';
}

function readFile(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new PushError('away', `modules.push.credentials: ${errorText(error)}`);
  }
}
