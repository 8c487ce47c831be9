import { errorText } from '../../core/errors.ts';
import { type Acl, parseAclFile } from './acl-file.ts';
import { type PasswordHash, parsePasswordFile } from './password-file.ts';
import type { Parsed } from './rule-lines.ts';
import type { WatchedFile } from './watched-file.ts';

/** The files that say who may do what; either may be missing. */
export type AccessFiles = {
  readonly passwords: WatchedFile | undefined;
  readonly acl: WatchedFile | undefined;
};

/** What they say; undefined where there is no file. */
export type AccessRules = {
  readonly users: ReadonlyMap<string, PasswordHash> | undefined;
  readonly acl: Acl | undefined;
};

/** What is wrong, and where: `/etc/mosquitto/acl:12`. */
export type FileFault = { readonly place: string; readonly wrong: string };

/** Reads all files.
 * @returns every fault when one of them cannot be used */
export function readAccessRules(
  files: AccessFiles,
): { readonly rules: AccessRules } | { readonly faults: readonly FileFault[] } {
  const faults: FileFault[] = [];
  const rules = {
    users: readOne(files.passwords, parsePasswordFile, faults),
    acl: readOne(files.acl, parseAclFile, faults),
  };
  return faults.length > 0 ? { faults } : { rules };
}

function readOne<T>(
  file: WatchedFile | undefined,
  parse: (text: string) => Parsed<T>,
  faults: FileFault[],
): T | undefined {
  if (!file) return undefined;
  let text: string;
  try {
    text = file.read();
  } catch (error) {
    faults.push({ place: file.path, wrong: errorText(error) });
    return undefined;
  }
  const parsed = parse(text);
  if ('value' in parsed) return parsed.value;
  faults.push(...parsed.faults.map(({ line, wrong }) => ({ place: `${file.path}:${line}`, wrong })));
  return undefined;
}
