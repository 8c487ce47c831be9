import { errorTable } from '../runtime/core/errors.ts';

/** `runtime/docs/errors.md`, made from the error table. */
export function errorsPage(): string {
  const rows = Object.entries(errorTable).map(([code, { message, retry, hint }]) => {
    const again = retry === 'never' ? 'no' : 'by itself, with growing pauses';
    return `## ${code}\n\n${message}.\n\n- **Tried again:** ${again}\n- **What to do:** ${hint}\n`;
  });
  return `# Errors\n\nEvery error of edgecore has a code, which stands in its log line. Made from \`runtime/core/errors.ts\` by \`npm run check -- --write\`.\n\n${rows.join('\n')}`;
}
