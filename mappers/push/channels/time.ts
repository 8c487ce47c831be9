/** An instant as databases take it: `2026-01-31 10:00:00`, UTC.
 * Differs: KubeEdge writes the local time of its mapper, which is UTC in a container, and repeats an hour in autumn.
 * @param at ms since epoch */
export function dateTime(at: number): string {
  return new Date(at).toISOString().slice(0, 19).replace('T', ' ');
}
