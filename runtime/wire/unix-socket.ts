import { chmodSync } from 'node:fs';
import type { Server } from 'node:net';
import { EdgeError } from '../core/errors.ts';
import { removeStaleSocket } from '../core/stale-socket.ts';

/** Listens on a unix socket, replacing one that a process left that is gone.
 * @param what names the server in the error
 * @param mode of the file, 0o660 for instance
 * @throws EdgeError PORT_TAKEN, PORT_UNUSABLE */
export async function listenUnix(server: Server, what: string, path: string, mode: number): Promise<void> {
  await removeStaleSocket(path, `${what} ${path}`);
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) =>
      reject(new EdgeError('PORT_UNUSABLE', { detail: `${what} ${path}`, cause })),
    );
    // The file is there before listen returns: nobody may come in before its mode is set.
    const mask = process.umask(0o777 & ~mode);
    server.listen(path, () => resolve());
    process.umask(mask);
  });
  chmodSync(path, mode);
}
