import type { Random } from './random.ts';

/** Makes another byte stream of a stream of packets. */
type Mutation = (packets: Buffer[], random: Random, other: () => Buffer[]) => void;

const badStrings = [
  Buffer.from([0xff]),
  Buffer.from([0xc0, 0x80]), // U+0000 in two bytes
  Buffer.from([0xed, 0xa0, 0x80]), // half of a surrogate pair
  Buffer.from([0xf4, 0x90, 0x80, 0x80]), // beyond U+10FFFF
  Buffer.from([0]),
  Buffer.from('#'),
];
const lengths = [
  [0],
  [0x7f],
  [0x80, 0],
  [0x80, 0x80, 0x80, 0],
  [0xff, 0xff, 3],
  [0xff, 0xff, 0xff, 0x7f],
  [0xff, 0xff, 0xff, 0xff],
  [0xff, 0xff, 0xff, 0xff, 1],
];

const anywhere = (random: Random, packet: Buffer): number => random.below(packet.length);

/** Changes one packet, any of them. */
const onOne =
  (change: (packet: Buffer, random: Random) => Buffer): Mutation =>
  (packets, random) => {
    const at = random.below(packets.length);
    const packet = packets[at];
    if (packet && packet.length > 0) packets[at] = change(packet, random);
  };

const cutOut = (packet: Buffer, from: number, to: number, instead: Uint8Array): Buffer =>
  Buffer.concat([packet.subarray(0, from), instead, packet.subarray(to)]);

/** Where the length of the packet ends. */
const header = (packet: Buffer): number => {
  let at = 1;
  while (at < packet.length && at < 4 && (packet[at] as number) >= 0x80) at++;
  return Math.min(at + 1, packet.length);
};

/** Writes a length that is right again, so that a change is found inside of the packet. */
const withLength = (packet: Buffer): Buffer => {
  const body = packet.subarray(header(packet));
  const length: number[] = [];
  for (let rest = body.length; ; rest >>= 7) {
    length.push(rest > 0x7f ? (rest & 0x7f) | 0x80 : rest);
    if (rest <= 0x7f) break;
  }
  return Buffer.concat([packet.subarray(0, 1), Buffer.from(length), body]);
};

const mutations: Readonly<Record<string, Mutation>> = {
  'bits flipped': onOne((packet, random) => {
    const copy = Buffer.from(packet);
    for (let i = 1 + random.below(3); i > 0; i--) {
      const at = anywhere(random, copy);
      copy[at] = (copy[at] as number) ^ (1 << random.below(8));
    }
    return copy;
  }),
  'a byte set': onOne((packet, random) => {
    const copy = Buffer.from(packet);
    copy[anywhere(random, copy)] = random.pick([0, 1, 0x7f, 0x80, 0xfe, 0xff]);
    return copy;
  }),
  'bytes inserted': onOne((packet, random) => {
    const at = random.below(packet.length + 1);
    const longer = cutOut(packet, at, at, random.bytes(1 + random.below(4)));
    return random.oneIn(2) ? longer : withLength(longer);
  }),
  'bytes deleted': onOne((packet, random) => {
    const at = anywhere(random, packet);
    const shorter = cutOut(packet, at, at + 1 + random.below(4), Buffer.alloc(0));
    return random.oneIn(2) || shorter.length < 2 ? shorter : withLength(shorter);
  }),
  'a part twice': onOne((packet, random) => {
    const from = anywhere(random, packet);
    const part = packet.subarray(from, from + 1 + random.below(12));
    const longer = cutOut(packet, from, from, part);
    return random.oneIn(2) ? longer : withLength(longer);
  }),
  'cut short': onOne((packet, random) => {
    const shorter = packet.subarray(0, anywhere(random, packet));
    return random.oneIn(2) || shorter.length < 2 ? shorter : withLength(shorter);
  }),
  'another remaining length': onOne((packet, random) =>
    cutOut(packet, 1, header(packet), Buffer.from(random.pick(lengths))),
  ),
  'another length inside': onOne((packet, random) => {
    const copy = Buffer.from(packet);
    const at = header(copy) + random.below(30);
    if (at + 1 < copy.length) copy.writeUInt16BE(random.pick([0, 1, 0xff, 0x7fff, 0xffff]), at);
    return copy;
  }),
  'a huge number inside': onOne((packet, random) => {
    const at = Math.min(packet.length, header(packet) + random.below(20));
    return withLength(cutOut(packet, at, at + 1, Buffer.from(random.pick(lengths))));
  }),
  'a bad string': onOne((packet, random) => {
    const bad = random.pick(badStrings);
    const copy = Buffer.from(packet);
    const at = header(copy) + 2 + random.below(30);
    if (at + bad.length <= copy.length) bad.copy(copy, at);
    return copy;
  }),
  'another packet type': onOne((packet, random) => {
    const copy = Buffer.from(packet);
    copy[0] = random.below(256);
    return copy;
  }),
  'a larger packet than allowed': (packets, random) => {
    const size = 70_000;
    const length = Buffer.from([0x30, (size & 0x7f) | 0x80, ((size >> 7) & 0x7f) | 0x80, size >> 14]);
    packets.splice(1 + random.below(packets.length), 0, Buffer.concat([length, Buffer.alloc(size)]));
  },
  'packets reordered': (packets, random) => {
    for (let i = packets.length - 1; i > 0; i--) {
      const j = random.below(i + 1);
      [packets[i], packets[j]] = [packets[j] as Buffer, packets[i] as Buffer];
    }
  },
  'a packet twice': (packets, random) => {
    packets.splice(random.below(packets.length + 1), 0, random.pick(packets));
  },
  'no CONNECT': (packets) => {
    packets.shift();
  },
  'packets of another session': (packets, random, other) => {
    packets.splice(random.below(packets.length + 1), 0, ...other());
  },
  'the head of one and the tail of another': (packets, random, other) => {
    const [one, two] = [Buffer.concat(packets), Buffer.concat(other())];
    const parts = [one.subarray(0, random.below(one.length)), two.subarray(random.below(two.length))];
    packets.splice(0, packets.length, ...parts);
  },
  'garbage between': (packets, random) => {
    packets.splice(random.below(packets.length + 1), 0, random.bytes(1 + random.below(60)));
  },
  'nothing but garbage': (packets, random) => {
    packets.splice(0, packets.length, random.bytes(1 + random.below(200)));
  },
};

export const mutationNames = Object.keys(mutations);

/** Applies one to three mutations. @returns their names */
export function mutate(packets: Buffer[], random: Random, other: () => Buffer[]): string[] {
  const names: string[] = [];
  for (let i = random.oneIn(3) ? 1 + random.below(3) : 1; i > 0 && packets.length > 0; i--) {
    const name = random.pick(mutationNames);
    names.push(name);
    mutations[name]?.(packets, random, other);
  }
  return names;
}

/** Cuts a stream into chunks: as a whole, byte by byte, at the packets, or anywhere. */
export function split(packets: readonly Buffer[], random: Random): Buffer[] {
  const stream = Buffer.concat(packets);
  const how = random.below(4);
  if (how === 0 || stream.length === 0) return [stream];
  if (how === 1) return packets.filter(({ length }) => length > 0);
  if (how === 2 && stream.length <= 300) return Array.from(stream, (_, at) => stream.subarray(at, at + 1));
  const chunks: Buffer[] = [];
  const most = random.pick([3, 20, 200, 5000]);
  for (let at = 0; at < stream.length; ) {
    const end = Math.min(stream.length, at + Math.max(1 + random.below(most), stream.length / 500));
    chunks.push(stream.subarray(at, Math.ceil(end)));
    at = Math.ceil(end);
  }
  return chunks;
}
