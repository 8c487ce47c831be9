import { commands } from '../runtime/cli/cli.ts';

/** `runtime/docs/cli.md`: what every command says of itself. */
export function cliPage(): string {
  const sections = Object.entries(commands).map(
    ([name, { usage }]) => `## edgecore ${name}\n\n\`\`\`\n${usage.trimEnd()}\n\`\`\`\n`,
  );
  return `# Commands

Made by \`npm run check -- --write\` from the help texts: \`edgecore COMMAND --help\` prints the same.

Words are those of KubeEdge's keadm where it has them. Commands ask the edgecore that runs on this machine over its
console (127.0.0.1:10560), its kubelet port (127.0.0.1:10350) and its socket, and read its configuration; none needs the
cloud. A command that is refused says why and what to do, exits with 1, or 2 when it was not understood, and changes
nothing. The commands are a file of their own beside the program (\`cli.cjs\`), so the node's memory does not carry them.

${sections.join('\n')}`;
}
