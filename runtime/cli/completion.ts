import { EdgeError } from '../core/errors.ts';
import { readArgs } from './arguments.ts';
import type { Command } from './cli.ts';

const usage = `edgecore completion: what Tab offers

  completion bash       the script; put it into /etc/bash_completion.d/edgecore, or source it

The Debian package brings it along.
`;

/** `edgecore completion`. What a command takes is read from its help, so that it cannot be something else. */
export function completion(commands: () => Readonly<Record<string, Command>>): Command {
  return {
    usage,
    async run(args, { print }) {
      const { positionals } = readArgs(args, ['SHELL'], {});
      if (positionals[0] !== 'bash')
        throw new EdgeError('CLI_USAGE', { detail: `${positionals[0]}: only bash is offered` });
      print(bashScript(commands()));
      return 0;
    },
  };
}

/** For `/etc/bash_completion.d`, or the folder where packages have theirs. */
export function bashScript(commands: Readonly<Record<string, Command>>): string {
  const cases = Object.entries(commands).map(
    ([name, { usage: help }]) => `    ${name}) words="${wordsOf(name, help).join(' ')}" ;;\n`,
  );
  return `# Completion of edgecore for bash.
_edgecore() {
  local word="\${COMP_WORDS[COMP_CWORD]}" words
  case "$COMP_CWORD:\${COMP_WORDS[1]}" in
    1:*) words="${[...Object.keys(commands), '--config', '--minconfig', '--defaultconfig', '--version', '--help'].join(' ')}" ;;
  esac
  [ "$COMP_CWORD" -gt 1 ] && case "\${COMP_WORDS[1]}" in
${cases.join('')}  esac
  COMPREPLY=($(compgen -W "$words" -- "$word"))
  case "\${COMP_WORDS[COMP_CWORD - 1]}" in
    --config | --token-file | --output-path | --keys | --directory | --in) COMPREPLY=($(compgen -f -- "$word")) ;;
  esac
}
complete -o default -F _edgecore edgecore
`;
}

/** The options that a help text names, and the words that follow the command's name. */
function wordsOf(name: string, help: string): string[] {
  const options = help.match(/(?<![\w-])--[a-z][a-z-]+/g) ?? [];
  const verbs = [...help.matchAll(new RegExp(`^  (?:${name} )?([a-z]+)(?= |,|$)`, 'gm'))].map(
    ([, word]) => word ?? '',
  );
  return [...new Set([...verbs, ...options, '--help'])];
}
