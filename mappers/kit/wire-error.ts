/** What went wrong with an exchange. The device answered: `exception` is its refusal. Nothing was sent: `refused`. No
 * sensible answer: after `garbled` and `unreachable` the connection is of no more use; `timeout` and `noise` spoil one
 * exchange, as on a serial line. */
export class WireError extends Error {
  readonly kind: 'exception' | 'refused' | 'timeout' | 'noise' | 'garbled' | 'unreachable';
  /** The device's own code, for an exception. */
  readonly code: number;

  constructor(kind: WireError['kind'], message: string, code = 0) {
    super(message);
    this.name = 'WireError';
    this.kind = kind;
    this.code = code;
  }
}

/** The error as one of the wire; one that is none counts as `kind`. */
export function wireError(error: unknown, kind: WireError['kind'] = 'garbled'): WireError {
  if (error instanceof WireError) return error;
  return new WireError(kind, error instanceof Error ? error.message : String(error));
}
