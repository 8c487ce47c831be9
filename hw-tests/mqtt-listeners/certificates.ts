import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type CertificateRequest,
  type Issuer,
  issueCertificate,
  keyPem,
  newKey,
} from '../../cloud-shim/pki/certificate.ts';

const DAY_MS = 86_400_000;

/** Where a certificate and its key lie. */
export type PairFiles = { readonly cert: string; readonly key: string };

/** A CA that puts certificates into a folder. */
export class TestCa {
  readonly file: string;
  readonly keyFile: string;
  private readonly folder: string;
  private readonly issuer: Issuer;

  constructor(folder: string, name = 'ca') {
    this.folder = folder;
    this.file = join(folder, `${name}.crt`);
    this.keyFile = join(folder, `${name}.key`);
    this.issuer = { subject: { commonName: name }, key: newKey() };
    const request = { subject: this.issuer.subject, usage: 'ca', ...validity() } as const;
    writeFileSync(this.file, issueCertificate(request, this.issuer.key, this.issuer));
    writeFileSync(this.keyFile, keyPem(this.issuer.key));
  }

  server(name: string): PairFiles {
    return this.issue(name, { usage: 'server', hosts: ['127.0.0.1', 'localhost'] });
  }

  client(name: string): PairFiles {
    return this.issue(name, { usage: 'client' });
  }

  private issue(name: string, kind: Pick<CertificateRequest, 'usage' | 'hosts'>): PairFiles {
    const key = newKey();
    const request = { subject: { commonName: name }, ...validity(), ...kind };
    const files = { cert: join(this.folder, `${name}.crt`), key: join(this.folder, `${name}.key`) };
    writeFileSync(files.cert, issueCertificate(request, key, this.issuer));
    writeFileSync(files.key, keyPem(key));
    return files;
  }
}

function validity() {
  return { notBefore: Date.now() - DAY_MS, notAfter: Date.now() + DAY_MS };
}
