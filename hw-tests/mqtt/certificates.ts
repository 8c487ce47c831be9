import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** PEM files of one authority. */
export type Authority = {
  readonly ca: string;
  /** Issues a certificate for 127.0.0.1. */
  issue(name: string): { readonly cert: string; readonly key: string };
};

/** Makes an authority with openssl, as a site does. */
export function makeAuthority(dir: string, name: string): Authority {
  const file = (suffix: string): string => join(dir, `${name}.${suffix}`);
  const openssl = (...args: string[]): void => void execFileSync('openssl', args, { stdio: 'pipe' });
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const [ca, caKey] = [file('ca.crt'), file('ca.key')];
  openssl('req', '-x509', ...newKey, '-keyout', caKey, '-out', ca, '-days', '2', '-subj', `/CN=${name}`);
  return {
    ca,
    issue: (subject) => {
      const [cert, key, request, extensions] = ['crt', 'key', 'csr', 'ext'].map((s) =>
        file(`${subject}.${s}`),
      );
      if (!cert || !key || !request || !extensions) throw new Error('no paths');
      writeFileSync(extensions, 'subjectAltName=IP:127.0.0.1\n');
      openssl('req', ...newKey, '-keyout', key, '-out', request, '-subj', `/CN=${subject}`);
      openssl(
        ...['x509', '-req', '-in', request, '-CA', ca, '-CAkey', caKey, '-CAcreateserial'],
        ...['-out', cert, '-days', '2', '-extfile', extensions],
      );
      return { cert, key };
    },
  };
}
