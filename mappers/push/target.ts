/** The ways in which values are pushed. */
export const methods = ['http', 'mqtt', 'otel', 'influxdb2', 'redis', 'mysql', 'tdengine'] as const;
export type Method = (typeof methods)[number];

/** Where values go. Its JSON is its name in the store; secrets are no part of it. */
export type Target =
  /** @param timeout seconds */
  | { readonly method: 'http'; readonly url: string; readonly timeout: number }
  | { readonly method: 'mqtt'; readonly address: string }
  | { readonly method: 'otel'; readonly url: string }
  | { readonly method: 'influxdb2'; readonly url: string; readonly org: string; readonly bucket: string }
  | { readonly method: 'redis'; readonly addr: string; readonly db: number }
  | { readonly method: 'mysql'; readonly addr: string; readonly database: string; readonly userName: string }
  | { readonly method: 'tdengine'; readonly addr: string; readonly dbName: string };

/** The address as `pushMethod` has it. */
export function addressOf(target: Target): string {
  switch (target.method) {
    case 'http':
    case 'otel':
    case 'influxdb2':
      return target.url;
    case 'mqtt':
      return target.address;
    case 'redis':
    case 'mysql':
    case 'tdengine':
      return target.addr;
    default:
      return target satisfies never;
  }
}

/** A target in words, for people. */
export function described(target: Target): string {
  const address = `${target.method} ${addressOf(target)}`;
  switch (target.method) {
    case 'influxdb2':
      return `${address} bucket ${target.bucket}`;
    case 'redis':
      return `${address} db ${target.db}`;
    case 'mysql':
      return `${address} database ${target.database}`;
    case 'tdengine':
      return `${address} database ${target.dbName}`;
    default:
      return address;
  }
}
