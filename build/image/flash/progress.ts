import type { Progress } from './write.ts';

const WIDTH = 30;
/** ms between two pictures. */
const EVERY = 200;

/** Shows how far it is: a bar on a terminal, elsewhere a line for each tenth.
 * @param clock ms */
export function progressBar(
  out: { readonly isTTY?: boolean; write(text: string): unknown },
  clock: () => number,
): Progress {
  let doing = '';
  let begun = 0;
  let shown = 0;
  let tenth = 0;
  return (what, done, total) => {
    const now = clock();
    if (what !== doing) [doing, begun, shown, tenth] = [what, now, 0, 0];
    const share = total === 0 ? 1 : done / total;
    if (!out.isTTY) {
      if (Math.floor(share * 10) > tenth) out.write(`${what} ${Math.round(share * 100)} %\n`);
      tenth = Math.floor(share * 10);
      return;
    }
    if (now - shown < EVERY && done < total) return;
    shown = now;
    const seconds = (now - begun) / 1000;
    const left = share > 0 ? Math.round(seconds / share - seconds) : 0;
    const bar = '█'.repeat(Math.round(share * WIDTH)).padEnd(WIDTH, '░');
    const rate = seconds > 0 ? (done / 1e6 / seconds).toFixed(0) : '0';
    const rest = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, '0')}`;
    out.write(
      `\r${bar} ${String(Math.round(share * 100)).padStart(3)} % ${what}, ${rate} MB/s, ${rest} left  `,
    );
    if (done >= total) out.write('\n');
  };
}
