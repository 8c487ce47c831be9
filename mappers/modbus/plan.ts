import type { Endpoint } from './config-endpoint.ts';
import type { Area, Point } from './config-points.ts';

/** One read request and the points that it serves. */
export type Block = {
  readonly area: Area;
  readonly address: number;
  readonly count: number;
  readonly points: readonly Point[];
};

/** Places that a device refuses to read, `to` not among them. */
export type Hole = { readonly area: Area; readonly from: number; readonly to: number };

/** What reading has to heed of one device; it learns. */
export type Knowledge = {
  /** The most that one request may ask for. */
  readonly most: Readonly<Record<Area, number>>;
  /** Places that nobody wants and that are read along, because that is cheaper than another request. */
  readonly gap: Readonly<Record<Area, number>>;
  readonly holes: readonly Hole[];
  /** Properties that are read on their own, because a merged read with them was refused. */
  readonly apart: ReadonlySet<string>;
};

const AREAS: readonly Area[] = ['coil', 'discrete', 'holding', 'input', 'identification'];
/** Bytes of the frames of a request and its answer beside the values, and two silences of 3.5 characters.
 * @source MODBUS over Serial Line V1.02 §2.5.1 */
const OVERHEAD = 20;
/** Milliseconds that a device commonly takes to answer. */
const LATENCY = 5;
/** A request over a network costs a round trip, which is worth many registers. */
const NETWORK_GAP = 32;
const LONGEST_GAP = 60;

/** Registers that are worth reading along instead of asking once more.
 * @param delay silence before each request, ms */
export function worthwhileGap({ wire, framing }: Endpoint, delay: number): number {
  if (wire.kind !== 'serial') return NETWORK_GAP;
  const character = 11_000 / wire.baudRate;
  const perRegister = framing === 'ascii' ? 4 : 2;
  return Math.min(Math.floor((OVERHEAD + (LATENCY + delay) / character) / perRegister), LONGEST_GAP);
}

/** Merges the reads of points into as few requests as their places and the device allow. */
export function planReads(points: readonly Point[], known: Knowledge): Block[] {
  const blocks: Block[] = [];
  const sorted = points.toSorted((a, b) => order(a) - order(b));
  let open: { area: Area; address: number; end: number; points: Point[] } | undefined;
  const close = (): void => {
    if (open) blocks.push(blockOf(open.area, open.address, open.end, open.points));
    open = undefined;
  };
  for (const point of sorted) {
    const end = point.address + point.count;
    const alone = known.apart.has(point.property);
    if (open && !alone && fits(open, point, known)) {
      open.end = Math.max(open.end, end);
      open.points.push(point);
      continue;
    }
    if (!alone) close();
    if (alone) blocks.push(blockOf(point.area, point.address, end, [point]));
    else open = { area: point.area, address: point.address, end, points: [point] };
  }
  close();
  return blocks;
}

/** Cuts a block in two by its points; undefined when there is one only.
 * @returns the halves, and the places between them that nobody wants */
export function halve(
  block: Block,
): { halves: readonly [Block, Block]; between: Hole | undefined } | undefined {
  const { area, points } = block;
  if (points.length < 2) return undefined;
  const middle = Math.ceil(points.length / 2);
  const first = spanOf(area, points.slice(0, middle));
  const second = spanOf(area, points.slice(middle));
  const end = first.address + first.count;
  const between = end < second.address ? { area, from: end, to: second.address } : undefined;
  return { halves: [first, second], between };
}

function spanOf(area: Area, points: readonly Point[]): Block {
  const address = Math.min(...points.map((p) => p.address));
  return blockOf(area, address, Math.max(...points.map((p) => p.address + p.count)), points);
}

function blockOf(area: Area, address: number, end: number, points: readonly Point[]): Block {
  return { area, address, count: end - address, points };
}

/** One number to sort by: areas apart, addresses in order. (localeCompare would load the collation tables.) */
function order({ area, address }: Point): number {
  return AREAS.indexOf(area) * 65_536 + address;
}

function fits(open: { area: Area; address: number; end: number }, point: Point, known: Knowledge): boolean {
  const { area, address, count } = point;
  if (area !== open.area || address - open.end > known.gap[area]) return false;
  const end = Math.max(open.end, address + count);
  if (end - open.address > known.most[area]) return false;
  return !known.holes.some((hole) => hole.area === area && hole.from < end && hole.to > open.address);
}
