/** A call that did not succeed.
 * @source gRPC status codes */
export class GrpcError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.name = 'GrpcError';
    this.status = status;
  }
}

export const grpcStatus = {
  ok: 0,
  unknown: 2,
  invalid: 3,
  deadline: 4,
  notFound: 5,
  exists: 6,
  exhausted: 8,
  precondition: 9,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
} as const;

/** Headers are bounded; what is longer helps nobody. */
const LONGEST_TEXT = 1024;

/** A text as `grpc-message` carries it: UTF-8, what is not printable ASCII in percent form.
 * @source gRPC over HTTP/2, Status-Message */
export function escaped(text: string): string {
  const bytes = Buffer.from(text.slice(0, LONGEST_TEXT));
  return [...bytes]
    .map((byte) =>
      byte < 0x20 || byte > 0x7e || byte === 0x25
        ? `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
        : String.fromCharCode(byte),
    )
    .join('');
}

/** Turns {@link escaped} round; a text that was not escaped stays as it is. */
export function unescaped(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
