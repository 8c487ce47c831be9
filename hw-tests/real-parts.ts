import { spawnSync } from 'node:child_process';

/** Looks for a program that a suite drives. When it is missing the suite says so and leaves out what needs it;
 * in CI a missing part is a failure, because then nothing would have been proven.
 * @param debianPackage what brings it
 * @returns its path, or undefined */
export function requireProgram(name: string, debianPackage: string): string | undefined {
  const found = spawnSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).stdout.trim();
  if (found) return found;
  return missing(`${name} is not installed (apt-get install ${debianPackage})`);
}

/** The same for anything else that a suite needs, such as the rights of root. */
export function requireCondition(holds: boolean, otherwise: string): boolean {
  return holds || missing(otherwise) !== undefined;
}

function missing(why: string): undefined {
  if (process.env.CI === 'true') throw new Error(`CI must not skip: ${why}`);
  process.stdout.write(`SKIPPED: ${why}\n`);
  return undefined;
}
