import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import { EdgeError, errorText } from '../../core/errors.ts';

/** Where the certificate of a server, its key and the CA of its clients lie. */
export type TlsFiles = {
  readonly tlsCertFile: string;
  readonly tlsPrivateKeyFile: string;
  readonly tlsCaFile?: string | undefined;
};

/** PEM, checked. */
export type TlsMaterial = { readonly cert: string; readonly key: string; readonly ca?: string };

/** Reads the files and checks that they fit together.
 * @throws EdgeError MQTT_CERT_UNUSABLE with everything that is wrong with them */
export async function readTlsFiles(files: TlsFiles): Promise<TlsMaterial> {
  const faults: string[] = [];
  const read = async (path: string): Promise<string> => {
    return readFile(path, 'utf8').catch((error) => {
      faults.push(errorText(error));
      return '';
    });
  };
  const { tlsCertFile, tlsPrivateKeyFile, tlsCaFile } = files;
  const [cert, key, ca] = await Promise.all([
    read(tlsCertFile),
    read(tlsPrivateKeyFile),
    tlsCaFile === undefined ? undefined : read(tlsCaFile),
  ]);
  const material: TlsMaterial = { cert, key, ...(ca === undefined ? {} : { ca }) };
  faults.push(...faultsIn(files, material));
  if (faults.length > 0) throw new EdgeError('MQTT_CERT_UNUSABLE', { detail: faults.join('; ') });
  return material;
}

/** Changes whenever one of the files is written or replaced; a file that is not there counts as well. */
export async function versionOf(files: TlsFiles): Promise<string> {
  const paths = [files.tlsCertFile, files.tlsPrivateKeyFile, files.tlsCaFile ?? ''].filter(
    (path) => path !== '',
  );
  const states = paths.map((path) =>
    stat(path).then(
      ({ ino, size, mtimeMs }) => `${ino} ${size} ${mtimeMs}`,
      () => 'none',
    ),
  );
  return (await Promise.all(states)).join('\n');
}

/** What could not be read is empty here, and has been named. */
function faultsIn(files: TlsFiles, { cert, key, ca }: TlsMaterial): string[] {
  const faults: string[] = [];
  const check = <T>(
    text: string | undefined,
    path: string | undefined,
    what: string,
    parse: (text: string) => T,
  ): T | undefined => {
    if (!text) return undefined;
    try {
      return parse(text);
    } catch {
      faults.push(`${path}: holds no ${what} in PEM`);
      return undefined;
    }
  };
  const certificate = check(cert, files.tlsCertFile, 'certificate', (text) => new X509Certificate(text));
  const privateKey = check<KeyObject>(
    key,
    files.tlsPrivateKeyFile,
    'private key without passphrase',
    createPrivateKey,
  );
  check(ca, files.tlsCaFile, 'certificate', (text) => new X509Certificate(text));
  if (certificate && privateKey && !certificate.checkPrivateKey(privateKey)) {
    faults.push(`${files.tlsPrivateKeyFile}: is not the key of ${files.tlsCertFile}`);
  }
  if (faults.length > 0 || !cert || !key || ca === '') return faults;
  try {
    createSecureContext({ cert, key, ...(ca === undefined ? {} : { ca }) });
  } catch (error) {
    faults.push(`${files.tlsCertFile}: ${errorText(error)}`);
  }
  return faults;
}
