import type { Area, Point } from './config.ts';

/** One read request and the points that it serves. */
export type Block = {
  readonly area: Area;
  readonly address: number;
  readonly count: number;
  readonly points: readonly Point[];
};

/** The most that one request may ask for. @source MODBUS Application Protocol V1.1b3 §6.1 to §6.4 */
const MOST: Readonly<Record<Area, number>> = { coil: 2000, discrete: 2000, input: 125, holding: 125 };
const AREAS: readonly Area[] = ['coil', 'discrete', 'holding', 'input'];
/** Registers that nobody wants are read along when that is cheaper than another request: a request costs about
 * 20 bytes of frames on TCP and a turnaround, a register two bytes. */
const GAP: Readonly<Record<Area, number>> = { coil: 256, discrete: 256, input: 16, holding: 16 };

/** Merges the reads of points into as few requests as their places allow.
 * @param apart points that must be read on their own, because a merged read with them was refused */
export function planReads(points: readonly Point[], apart: ReadonlySet<string> = new Set()): Block[] {
  const blocks: Block[] = [];
  const sorted = points.toSorted((a, b) => order(a) - order(b));
  let open: { area: Area; address: number; end: number; points: Point[] } | undefined;
  const close = (): void => {
    if (open)
      blocks.push({
        area: open.area,
        address: open.address,
        count: open.end - open.address,
        points: open.points,
      });
    open = undefined;
  };
  for (const point of sorted) {
    const end = point.address + point.count;
    const alone = apart.has(point.property);
    if (open && !alone && fits(open, point)) {
      open.end = Math.max(open.end, end);
      open.points.push(point);
      continue;
    }
    close();
    open = { area: point.area, address: point.address, end, points: [point] };
    if (alone) close();
  }
  close();
  return blocks;
}

/** One number to sort by: areas apart, addresses in order. (localeCompare would load the collation tables.) */
function order({ area, address }: Point): number {
  return AREAS.indexOf(area) * 65_536 + address;
}

function fits(open: { area: Area; address: number; end: number }, point: Point): boolean {
  return (
    point.area === open.area &&
    point.address - open.end <= GAP[open.area] &&
    point.address + point.count - open.address <= MOST[open.area]
  );
}
