import { DEFAULT_CONFIG, loadConfig } from '../config/config.ts';
import { EdgeError } from '../core/errors.ts';
import { readArgs } from './arguments.ts';
import { checks, type Finding } from './checks.ts';
import type { Command } from './cli.ts';
import { outputOption, printed } from './output.ts';

const usage = `edgecore check: what may keep this node from working

  check [WHAT…]         all, or some of cpu, mem, disk, dns, network, runtime, pid, clock, serial

  --output json|yaml    for programs
  --config FILE         edgecore's configuration, default ${DEFAULT_CONFIG}

It only looks. The exit status is 1 when something failed.
`;

/** `edgecore check`. */
export const check: Command = {
  usage,
  async run(args, { print }) {
    const { values, positionals } = readArgs(args, ['[WHAT…'], {
      ...outputOption,
      config: { type: 'string', default: DEFAULT_CONFIG },
    });
    const wanted =
      positionals.length === 0 || positionals.includes('all') ? Object.keys(checks) : positionals;
    const config = loadConfig(values.config);
    const findings: Finding[] = [];
    for (const name of wanted) {
      const run = Object.hasOwn(checks, name) ? checks[name] : undefined;
      if (!run)
        throw new EdgeError('CLI_USAGE', {
          detail: `${name}: want all or some of ${Object.keys(checks).join(', ')}`,
        });
      findings.push(...(await run(config)));
    }
    print(values.output ? printed(findings, values.output) : findings.map(line).join(''));
    return findings.some(({ state }) => state === 'failed') ? 1 : 0;
  },
};

function line({ check: name, state, message, hint }: Finding): string {
  return `${name.padEnd(8)} ${state.padEnd(8)} ${message}\n${hint ? `${' '.repeat(18)}${hint}\n` : ''}`;
}
