import { lstatSync, unlinkSync } from 'node:fs';
import { connect } from 'node:net';
import { EdgeError, errorCode } from './errors.ts';
import { type Millis, seconds } from './units.ts';

/** How long a process that holds the socket may take to answer before it counts as there. */
const ANSWER: Millis = seconds(2);

/** Removes the socket of a process that ended without doing so; anything else at the path stays.
 * @param name says in the error what is listened on
 * @returns whether there was one
 * @throws EdgeError PORT_TAKEN, PORT_UNUSABLE */
export async function removeStaleSocket(path: string, name: string): Promise<boolean> {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (!found) return false;
  if (!found.isSocket()) {
    throw new EdgeError('PORT_UNUSABLE', { detail: `${name}: a file that is no socket is there` });
  }
  if (await isAnswered(path)) throw new EdgeError('PORT_TAKEN', { detail: name });
  unlinkSync(path);
  return true;
}

/** True unless it is certain that nobody listens on the socket. */
function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(path);
    const end = (answered: boolean): void => {
      probe.destroy();
      resolve(answered);
    };
    probe.setTimeout(ANSWER, () => end(true));
    probe.once('connect', () => end(true));
    probe.once('error', (error) => end(errorCode(error) !== 'ECONNREFUSED'));
  });
}
