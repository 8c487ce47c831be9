import { execFile } from 'node:child_process';
import { networkInterfaces } from 'node:os';
import { promisify } from 'node:util';
import { EdgeError, errorText } from '../../../core/errors.ts';

const run = promisify(execFile);
const DEVICE = 'edge-dummy0';

/** Makes sure that this machine has the address at which pods find the API: on a device of its own, which leads
 * nowhere else.
 * @throws EdgeError METASERVER_ADDRESS_MISSING
 * @source KubeEdge edge/pkg/edged/dummy, edge-dummy0 */
export async function providePodAddress(address: string): Promise<void> {
  const has = Object.values(networkInterfaces())
    .flat()
    .some((each) => each?.address === address);
  if (has) return;
  try {
    await run('ip', ['link', 'add', DEVICE, 'type', 'dummy'], { timeout: 5000 }).catch((error: unknown) => {
      // It is there already, without the address.
      if (!/exists/.test(errorText(error))) throw error;
    });
    await run('ip', ['addr', 'add', `${address}/32`, 'dev', DEVICE], { timeout: 5000 });
    await run('ip', ['link', 'set', DEVICE, 'up'], { timeout: 5000 });
  } catch (cause) {
    throw new EdgeError('METASERVER_ADDRESS_MISSING', { detail: `${address} on ${DEVICE}`, cause });
  }
}
