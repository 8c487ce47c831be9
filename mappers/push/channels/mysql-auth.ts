import { constants, createHash, publicEncrypt } from 'node:crypto';

/** The proofs of a password that MySQL and MariaDB ask for.
 * @source MySQL internals manual, mysql_native_password and caching_sha2_password */

/** SHA1(password) XOR SHA1(scramble + SHA1(SHA1(password))). @param scramble the server's 20 bytes */
export function nativePassword(password: string, scramble: Buffer): Buffer {
  if (password === '') return Buffer.alloc(0);
  const once = hash('sha1', Buffer.from(password));
  return xor(once, hash('sha1', Buffer.concat([scramble, hash('sha1', once)])));
}

/** SHA256(password) XOR SHA256(SHA256(SHA256(password)) + scramble). @param scramble the server's 20 bytes */
export function cachingSha2Password(password: string, scramble: Buffer): Buffer {
  if (password === '') return Buffer.alloc(0);
  const once = hash('sha256', Buffer.from(password));
  return xor(once, hash('sha256', Buffer.concat([hash('sha256', once), scramble])));
}

/** The password itself, for a server that has not seen it since it started, readable to nobody but the owner of the key.
 * @param publicKey PEM */
export function sealedPassword(password: string, scramble: Buffer, publicKey: string): Buffer {
  const plain = Buffer.from(`${password}\0`);
  const masked = plain.map((byte, i) => byte ^ (scramble[i % scramble.length] ?? 0));
  return publicEncrypt({ key: publicKey, padding: constants.RSA_PKCS1_OAEP_PADDING }, masked);
}

function hash(algorithm: 'sha1' | 'sha256', bytes: Buffer): Buffer {
  return createHash(algorithm).update(bytes).digest();
}

function xor(a: Buffer, b: Buffer): Buffer {
  return Buffer.from(a.map((byte, i) => byte ^ (b[i] ?? 0)));
}
