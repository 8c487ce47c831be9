import { type KeyObject, sign } from 'node:crypto';
import { bits, der, integer, octets, oid, sequence, setOf, time, utf8 } from './der.ts';

const SUBJECT_ALT_NAME = '2.5.29.17';
const YEAR = 365 * 86_400_000;

/** Issues a certificate for tests, good for 127.0.0.1, and for one year unless `life` says otherwise.
 * @param spki the subject's public key, DER
 * @param life ms since epoch
 * @returns DER */
export function issueTestCertificate(
  commonName: string,
  spki: Buffer,
  issuer: { name: string; key: KeyObject },
  life: readonly [number, number] = [Date.now() - YEAR, Date.now() + YEAR],
): Buffer {
  const name = (text: string): Buffer => sequence(setOf(sequence(oid('2.5.4.3'), utf8(text))));
  const algorithm = sequence(oid('1.2.840.10045.4.3.2'));
  const loopback = sequence(der(0x87, Buffer.of(127, 0, 0, 1)));
  const body = sequence(
    der(0xa0, integer(Buffer.of(2))),
    integer(Buffer.of(1)),
    algorithm,
    name(issuer.name),
    sequence(time(life[0]), time(life[1])),
    name(commonName),
    spki,
    der(0xa3, sequence(sequence(oid(SUBJECT_ALT_NAME), octets(loopback)))),
  );
  return sequence(body, algorithm, bits(sign('sha256', body, issuer.key)));
}
