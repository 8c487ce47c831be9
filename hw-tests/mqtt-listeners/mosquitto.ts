import { execFile } from 'node:child_process';

export type Outcome = { readonly status: number; readonly output: string };

/** Runs `mosquitto_pub` or `mosquitto_sub`; a status other than 0 is an answer like any other. */
export function run(program: 'mosquitto_pub' | 'mosquitto_sub', args: readonly string[]): Promise<Outcome> {
  return new Promise((resolve) => {
    execFile(program, args, { timeout: 20_000 }, (error, stdout, stderr) => {
      resolve({ status: error ? Number(error.code ?? 1) || 1 : 0, output: `${stdout}${stderr}` });
    });
  });
}

/** Publishes a retained message one way and reads it another way.
 * @returns what the reader printed */
export async function carry(from: readonly string[], to: readonly string[], text: string): Promise<Outcome> {
  const topic = `carried/${text}`;
  const sent = await run('mosquitto_pub', [...from, '-t', topic, '-m', text, '-q', '1', '-r']);
  if (sent.status !== 0) return sent;
  return run('mosquitto_sub', [...to, '-t', topic, '-q', '1', '-C', '1', '-W', '10']);
}
