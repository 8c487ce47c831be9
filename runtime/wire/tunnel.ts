import { isRecord } from '../core/message.ts';

/** CloudStream's frames: uvarint stream, uvarint type, data. They travel in WebSocket messages of type text although
 * they are not UTF-8.
 * @source KubeEdge pkg/stream */
export type Frame = { readonly stream: number; readonly type: number; readonly data: Buffer };

export const frameType = { logs: 0, exec: 1, metrics: 2, data: 3, remove: 4, close: 5, attach: 6 } as const;

/** Largest data of one frame; the other side reads messages of 1 MiB at most. */
export const LARGEST_DATA = 64 * 1024;
/** Largest message that is read. */
export const LARGEST_FRAME = 1024 * 1024 + 32;

/** What opens a stream: a request to the kubelet's port. */
export type Connect = {
  /** `/containerLogs/default/web/app`. */
  readonly path: string;
  /** Without the question mark. */
  readonly query: string;
  readonly method: string;
};

export function encodeFrame({ stream, type, data }: Frame): Buffer {
  return Buffer.concat([uvarint(stream), uvarint(type), data]);
}

/** @returns the frame, or undefined when it is none */
export function decodeFrame(bytes: Buffer): Frame | undefined {
  const stream = readUvarint(bytes, 0);
  const type = stream && readUvarint(bytes, stream.end);
  return stream && type && { stream: stream.value, type: type.value, data: bytes.subarray(type.end) };
}

/** The data of a connect frame, with every field that Go's `url.URL` has. */
export function encodeConnect(stream: number, { path, query, method }: Connect): Buffer {
  const url = {
    Scheme: 'http',
    Opaque: '',
    User: null,
    Host: '127.0.0.1:10350',
    Path: path,
    RawPath: '',
    OmitHost: false,
    ForceQuery: false,
    RawQuery: query,
    Fragment: '',
    RawFragment: '',
  };
  return Buffer.from(JSON.stringify({ MessID: stream, url, header: {}, method }));
}

/** @returns what is asked for, or undefined when the data is no request. The host is not read: a tunnel leads to the
 * node's own kubelet port and nowhere else. */
export function decodeConnect(data: Buffer): Connect | undefined {
  try {
    const parsed: unknown = JSON.parse(data.toString());
    const url = isRecord(parsed) ? parsed.url : undefined;
    if (!isRecord(parsed) || !isRecord(url) || typeof url.Path !== 'string' || !url.Path.startsWith('/'))
      return undefined;
    const query = typeof url.RawQuery === 'string' ? url.RawQuery : '';
    return { path: url.Path, query, method: typeof parsed.method === 'string' ? parsed.method : 'GET' };
  } catch {
    return undefined;
  }
}

function uvarint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) | 0x80);
    rest = Math.floor(rest / 0x80);
  }
  bytes.push(rest);
  return Buffer.from(bytes);
}

function readUvarint(bytes: Buffer, start: number): { value: number; end: number } | undefined {
  let value = 0;
  for (let i = 0; i < 8; i++) {
    const byte = bytes[start + i];
    if (byte === undefined) return undefined;
    value += (byte & 0x7f) * 2 ** (7 * i);
    if (byte < 0x80) return { value, end: start + i + 1 };
  }
  return undefined;
}
