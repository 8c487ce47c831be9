/** Branded numbers and names: a raw number does not pass where milliseconds or bytes are meant. */

declare const brand: unique symbol;
type Branded<Base, Name extends string> = Base & { readonly [brand]: Name };

/** A duration or a wall-clock instant in milliseconds; which one, the name of the variable says. */
export type Millis = Branded<number, 'Millis'>;
/** A count of bytes. */
export type Bytes = Branded<number, 'Bytes'>;
/** Name of a Kubernetes node. */
export type NodeName = Branded<string, 'NodeName'>;
/** `<namespace>/<name>` of a Device, KubeEdge's device ID. */
export type DeviceId = Branded<string, 'DeviceId'>;

export const millis = (n: number): Millis => n as Millis;
export const seconds = (n: number): Millis => (n * 1000) as Millis;
export const minutes = (n: number): Millis => (n * 60_000) as Millis;
export const bytes = (n: number): Bytes => n as Bytes;
export const kibibytes = (n: number): Bytes => (n * 1024) as Bytes;
export const mebibytes = (n: number): Bytes => (n * 1024 * 1024) as Bytes;
export const nodeName = (s: string): NodeName => s as NodeName;
export const deviceId = (namespace: string, name: string): DeviceId => `${namespace}/${name}` as DeviceId;

/** Splits a device ID; the namespace never holds a slash, so the first one separates. */
export function splitDeviceId(id: DeviceId): { namespace: string; name: string } {
  const slash = id.indexOf('/');
  return { namespace: id.slice(0, slash), name: id.slice(slash + 1) };
}
