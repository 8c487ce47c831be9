import { parseArgs } from 'node:util';
import { benchApi } from './api.ts';
import type { Figure } from './figure.ts';
import { benchFlash } from './flash.ts';
import { benchModbus } from './modbus.ts';
import { benchMqtt } from './mqtt.ts';
import { benchReaction } from './reaction.ts';
import { benchRss } from './rss.ts';
import { benchTwin } from './twin.ts';

/** What a bench may be told. */
export type BenchOptions = {
  /** Seconds of load for each scenario; each bench has its own default. */
  readonly seconds: number | undefined;
};

type Bench = (options: BenchOptions) => AsyncIterable<Figure>;

const benches: Readonly<Record<string, Bench>> = {
  rss: benchRss,
  reaction: benchReaction,
  mqtt: benchMqtt,
  flash: benchFlash,
  modbus: benchModbus,
  twin: benchTwin,
  api: benchApi,
};

/** `npm run bench -- NAME … [--seconds N] [--check]`: one JSON line a figure, from the built programs.
 * The status is 1 when something could not be measured, or with `--check` when a goal was missed. */
async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { check: { type: 'boolean', default: false }, seconds: { type: 'string' } },
  });
  const names = positionals.length > 0 ? positionals : Object.keys(benches);
  const unknown = names.filter((name) => !benches[name]);
  const seconds = values.seconds === undefined ? undefined : Number(values.seconds);
  if (unknown.length > 0 || (seconds !== undefined && !(seconds >= 1))) {
    process.stderr.write(`usage: bench [${Object.keys(benches).join('|')}]… [--seconds N] [--check]\n`);
    return 2;
  }
  let missed = 0;
  for (const name of names) {
    for await (const figure of benches[name]?.({ seconds }) ?? []) {
      process.stdout.write(`${JSON.stringify(figure)}\n`);
      if (figure.ok === false) missed++;
    }
  }
  if (missed > 0) process.stderr.write(`${missed} goals missed\n`);
  return values.check && missed > 0 ? 1 : 0;
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    process.exit(1);
  },
);
