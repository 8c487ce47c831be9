import { isAbsolute } from 'node:path';
import { isRecord } from '../../core/message.ts';
import type { MapperInfo } from '../../wire/dmi-messages.ts';
import type { Out } from '../../wire/protobuf.ts';

/** A mapper's word of itself. */
export type Registration = {
  readonly name: string;
  readonly version: string;
  readonly apiVersion: string;
  readonly protocol: string;
  /** Of its socket. */
  readonly path: string;
};

/** Longer ones do not fit into a socket's address on Linux. */
const LONGEST_PATH = 107;

/** @returns the registration, or what is wrong with it */
export function parseRegistration(
  info: Out<typeof MapperInfo> | undefined,
): Registration | { refused: string } {
  if (!info) return { refused: 'mapper: missing' };
  const { name, version, api_version: apiVersion, protocol } = info;
  const path = info.address.toString().replace(/^unix:(\/\/)?(?=\/)/, '');
  if (!/^[^/\s]{1,253}$/.test(name)) return { refused: `mapper.name: ${JSON.stringify(name)} is no name` };
  if (!/^\S{1,253}$/.test(protocol))
    return { refused: `mapper.protocol: ${JSON.stringify(protocol)} is no protocol name` };
  if (!isAbsolute(path) || path.includes('\0') || Buffer.byteLength(path) > LONGEST_PATH)
    return {
      refused: `mapper.address: ${JSON.stringify(path)} is not the absolute path of a socket, of at most ${LONGEST_PATH} bytes`,
    };
  return { name, version, apiVersion, protocol, path };
}

/** The row of table `meta` that keeps it; the segments before the type are KubeEdge's, too. */
export function rowOf(registration: Registration): { key: string; type: string; value: string } {
  const { name, version, apiVersion, protocol, path } = registration;
  const value = {
    name,
    version,
    api_version: apiVersion,
    protocol,
    address: Buffer.from(path).toString('base64'),
  };
  return { key: rowKey(name), type: ROW_TYPE, value: JSON.stringify(value) };
}

export const ROW_TYPE = 'devicemapper';

export function rowKey(name: string): string {
  return `node/nodeID/namespace/${ROW_TYPE}/${name}`;
}

/** @returns undefined for a row that does not hold one */
export function fromRow(value: string): Registration | undefined {
  const row: unknown = JSON.parse(value);
  if (!isRecord(row)) return undefined;
  const text = (key: string): string => String(row[key] ?? '');
  const parsed = parseRegistration({
    name: text('name'),
    version: text('version'),
    api_version: text('api_version'),
    protocol: text('protocol'),
    address: Buffer.from(text('address'), 'base64'),
    state: '',
  });
  return 'refused' in parsed ? undefined : parsed;
}
