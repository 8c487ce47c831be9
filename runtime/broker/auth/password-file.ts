import { createHash, pbkdf2Sync, timingSafeEqual } from 'node:crypto';
import { type LineFault, type Parsed, ruleLines } from './rule-lines.ts';

/** How a password is kept. */
export type PasswordHash = {
  /** Rounds of PBKDF2 with SHA-512 (`$7$`); undefined: SHA-512 over password and salt, once (`$6$`). */
  readonly iterations: number | undefined;
  readonly salt: Buffer;
  readonly hash: Buffer;
};

const HASH_BYTES = 64;
/** A password is checked on the thread that serves every client: a million rounds hold them all up for a second. */
const MOST_ITERATIONS = 1_000_000;
const WANTED = 'want NAME:$7$ITERATIONS$SALT$HASH or NAME:$6$SALT$HASH, as mosquitto_passwd writes it';

/** Reads a file of mosquitto_passwd.
 * Differs: mosquitto leaves out a line that it does not understand, and takes the last of two for one user; here both are
 * faults, because somebody would be shut out, or let in with the old password, without a word.
 * @source mosquitto security_default.c pwfile__parse, unpwd__decode_passwords @2.0.11 */
export function parsePasswordFile(text: string): Parsed<ReadonlyMap<string, PasswordHash>> {
  const users = new Map<string, PasswordHash>();
  const faults: LineFault[] = [];
  for (const { line, text: entry } of ruleLines(text)) {
    const colon = entry.indexOf(':');
    const name = entry.slice(0, Math.max(colon, 0)).trim();
    const hash = colon < 0 ? WANTED : parseHash(entry.slice(colon + 1).trim());
    if (name === '') faults.push({ line, wrong: WANTED });
    else if (users.has(name)) faults.push({ line, wrong: `there is already a user ${JSON.stringify(name)}` });
    else if (typeof hash === 'string') faults.push({ line, wrong: `user ${JSON.stringify(name)}: ${hash}` });
    else users.set(name, hash);
  }
  return faults.length > 0 ? { faults } : { value: users };
}

/** Compares in a time that does not depend on where the difference is.
 * @source mosquitto password_mosq.c pw__hash: `$6$` is SHA-512(password, salt) */
export function isPassword(candidate: Buffer, { iterations, salt, hash }: PasswordHash): boolean {
  const made =
    iterations === undefined
      ? createHash('sha512').update(candidate).update(salt).digest()
      : pbkdf2Sync(candidate, salt, iterations, HASH_BYTES, 'sha512');
  return timingSafeEqual(made, hash);
}

/** @returns what is wrong, without what stands there: it may be a password */
function parseHash(text: string): PasswordHash | string {
  const pbkdf2 = /^\$7\$(\d{1,10})\$([^$]+)\$([^$]+)$/.exec(text);
  const [, first, second, third] = pbkdf2 ?? /^\$6\$()([^$]+)\$([^$]+)$/.exec(text) ?? [];
  if (second === undefined || third === undefined) return WANTED;
  const iterations = pbkdf2 ? Number(first) : undefined;
  if (iterations !== undefined && (iterations < 1 || iterations > MOST_ITERATIONS))
    return `want 1 to ${MOST_ITERATIONS} iterations`;
  const salt = parseBase64(second);
  if (!salt) return 'the salt is not base64';
  const hash = parseBase64(third);
  if (hash?.length !== HASH_BYTES) return `the hash is not ${HASH_BYTES} bytes in base64`;
  return { iterations, salt, hash };
}

/** Node skips what is not base64; a damaged hash must not pass for another one. */
function parseBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : undefined;
}
