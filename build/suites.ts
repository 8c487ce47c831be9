import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';

export type SuiteResult = {
  readonly suite: string;
  readonly passed: number;
  readonly failed: number;
  /** What was left out, and why, in the suite's own words. */
  readonly skipped: readonly string[];
  /** What the failed tests said, or, when none did, the last that was printed. */
  readonly failures: string;
};

/** Of the longest, an emulated machine. */
const LIMIT_MS = 15 * 60_000;
const LONG_LIMIT_MS = 8 * 60 * 60_000;
const LAST_LINES = 20;

/** Runs the test files of a folder in one process, showing what they print, within a time limit:
 * a handle that a test leaves open would keep uvu waiting for ever. */
export function runSuite(suite: string, options: { long: boolean }): Promise<SuiteResult> {
  process.stdout.write(`\n── ${suite}\n`);
  const limit = options.long ? LONG_LIMIT_MS : LIMIT_MS;
  const child = spawn(
    process.execPath,
    ['--import', 'tsx', 'node_modules/uvu/bin.js', '--no-color', suite, '\\.test\\.ts$'],
    {
      env: { ...process.env, ...(options.long ? { EDGECORE_LONG: 'true' } : {}) },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  const stop = (): void => {
    if (child.pid !== undefined && child.exitCode === null) killTree(child.pid);
  };
  const interrupted = (): void => {
    stop();
    process.exit(130);
  };
  process.once('SIGINT', interrupted).once('SIGTERM', interrupted);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      output += chunk;
      process.stdout.write(chunk);
    });
  }
  const timer = setTimeout(() => {
    process.stdout.write(`${suite}: not done after ${limit / 60_000} minutes, stopped\n`);
    stop();
  }, limit);
  return new Promise((resolve) => {
    child.once('close', (code) => {
      clearTimeout(timer);
      process.off('SIGINT', interrupted).off('SIGTERM', interrupted);
      resolve(countsOf(suite, output, code));
    });
  });
}

/** A process with all that it has started: an emulator, which has a session of its own, would outlive the suite and slow
 * down the next.
 * @source proc(5): /proc/PID/task/TID/children */
export function killTree(pid: number): void {
  let children = '';
  try {
    children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
    process.kill(pid, 'SIGKILL');
  } catch {
    return; // it has ended meanwhile
  }
  for (const child of children.split(' ')) if (child) killTree(Number(child));
}

/** Prints what was skipped, once more what failed, and the totals, the last line for machines: of a long log often only
 * the end is kept.
 * @returns the exit status */
export function printTotals(results: readonly SuiteResult[]): number {
  const skipped = results.flatMap((r) => r.skipped.map((why) => `${r.suite}: ${why}`));
  process.stdout.write(
    `\n${skipped.length > 0 ? `Left out on this machine:\n  ${skipped.join('\n  ')}\n` : ''}`,
  );
  for (const { suite, failed, failures } of results)
    if (failed > 0) process.stdout.write(`FAILED ${suite}\n${failures}\n`);
  const passed = results.reduce((sum, r) => sum + r.passed, 0);
  const failed = results.reduce((sum, r) => sum + r.failed, 0);
  process.stdout.write(`${passed} passed, ${failed} failed\n`);
  return failed === 0 ? 0 : 1;
}

/** A suite that ends without uvu's summary, or with a bad status and no failed test, counts as one failure. */
export function countsOf(suite: string, output: string, code: number | null): SuiteResult {
  const figure = (name: string): number =>
    Number(output.match(new RegExp(`^ +${name}: +(\\d+)`, 'm'))?.[1] ?? 0);
  const total = figure('Total');
  const passed = figure('Passed');
  const skipped = [...output.matchAll(/^SKIPPED: (.*)$/gm)].map((match) => match[1] ?? '');
  const uncounted = code !== 0 && total === passed ? 1 : 0;
  const failed = total - passed - figure('Skipped') + uncounted;
  return { suite, passed, failed, skipped, failures: failed > 0 ? failuresIn(output) : '' };
}

/** uvu heads each with FAIL and ends it with two empty lines. */
function failuresIn(output: string): string {
  const reports = output.match(/^ +FAIL {2}[\s\S]*?(?=\n\n\n)/gm);
  return (reports ?? output.trimEnd().split('\n').slice(-LAST_LINES)).join('\n');
}
