/** A node of a device tree: its path, and its properties as bytes. */
export type TreeNode = { readonly path: string; readonly properties: ReadonlyMap<string, Buffer> };

const MAGIC = 0xd00dfeed;
const BEGIN = 1;
const END_NODE = 2;
const PROPERTY = 3;
const NOTHING = 4;
const END = 9;

/** Reads a compiled device tree.
 * @source Devicetree Specification 0.4, chapter 5 */
export function treeNodes(blob: Buffer): TreeNode[] {
  if (blob.readUInt32BE(0) !== MAGIC) throw new Error('no device tree');
  const names = blob.readUInt32BE(12);
  const nodes: TreeNode[] = [];
  const open: { path: string; properties: Map<string, Buffer> }[] = [];
  for (let at = blob.readUInt32BE(8); ; ) {
    const token = blob.readUInt32BE(at);
    at += 4;
    if (token === END) return nodes;
    if (token === END_NODE) open.pop();
    if (token === END_NODE || token === NOTHING) continue;
    const parent = open.at(-1);
    if (token === BEGIN) {
      const name = stringAt(blob, at);
      const node = { path: parent ? `${parent.path}/${name}` : '', properties: new Map<string, Buffer>() };
      nodes.push(node);
      open.push(node);
      at = aligned(at + name.length + 1);
    } else if (token === PROPERTY) {
      const length = blob.readUInt32BE(at);
      const name = stringAt(blob, names + blob.readUInt32BE(at + 4));
      parent?.properties.set(name, blob.subarray(at + 8, at + 8 + length));
      at = aligned(at + 8 + length);
    } else throw new Error(`a device tree has no token ${token}`);
  }
}

/** Strings of a property, which ends each with a zero. */
export function stringsOf(property: Buffer | undefined): string[] {
  return property ? property.toString('latin1').split('\0').filter(Boolean) : [];
}

/** What the devices of a board call themselves, those that are switched off left out. */
export function compatibles(nodes: readonly TreeNode[]): Set<string> {
  const on = nodes.filter(({ properties }) => stringsOf(properties.get('status'))[0] !== 'disabled');
  return new Set(on.flatMap(({ properties }) => stringsOf(properties.get('compatible'))));
}

function stringAt(blob: Buffer, at: number): string {
  return blob.toString('latin1', at, blob.indexOf(0, at));
}

function aligned(at: number): number {
  return (at + 3) & ~3;
}
