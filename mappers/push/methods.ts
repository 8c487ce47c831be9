import type { Device, DeviceModel, ModelProperty } from '../../runtime/core/devices.ts';
import { isRecord } from '../../runtime/core/message.ts';
import { deviceId } from '../../runtime/core/units.ts';
import { ConfigReader } from '../kit/config-reader.ts';
import type { Route } from './sample.ts';
import type { Target } from './target.ts';

/** A target, and what a property is called there. */
export type Routed = { readonly target: Target; readonly detail: Partial<Route> };
type Context = { readonly id: string; readonly property: string; readonly type: ModelProperty['type'] | '' };
type Reader = (value: unknown, path: string, faults: string[], context: Context) => Routed | undefined;

/** Where a device's values go, and what is wrong with what its `pushMethod`s say, by property. */
export type Pushes = {
  readonly routes: ReadonlyMap<string, readonly { readonly target: Target; readonly route: Route }[]>;
  readonly faults: ReadonlyMap<string, string>;
};

const LONGEST_TIMEOUT = 60;
/** Of a table's name in MySQL, characters. */
const LONGEST_TABLE = 64;
/** What says nothing of where values go: it is for mappers that detect anomalies. */
const PASSED_ON = 'anomalydetection';

/** Reads the `pushMethod` of each property. One that is wrong is left out, and the others work.
 * @source KubeEdge api/apis/devices/v1beta1 PushMethod */
export function parsePushes(device: Device, model: DeviceModel): Pushes {
  const { name, namespace = 'default' } = device.metadata;
  const id = deviceId(namespace, name);
  const routes = new Map<string, Pushes['routes'] extends ReadonlyMap<string, infer R> ? R : never>();
  const faults = new Map<string, string>();
  for (const [i, property] of (device.spec.properties ?? []).entries()) {
    if (property.pushMethod === undefined || property.pushMethod === null) continue;
    const modelled = model.spec.properties?.find((p) => p.name === property.name);
    const found: string[] = [];
    const context = { id, property: property.name, type: modelled?.type ?? ('' as const) };
    const targets = parseMethods(property.pushMethod, `spec.properties[${i}].pushMethod`, found, context);
    const type = property.desired?.metadata?.type ?? modelled?.type.toLowerCase() ?? '';
    const own = { namespace, device: name, property: property.name, type };
    const routed = targets.map(({ target, detail }) => ({ target, route: { ...own, ...detail } }));
    if (routed.length > 0) routes.set(property.name, routed);
    if (found.length > 0) faults.set(property.name, found.join('; '));
  }
  return { routes, faults };
}

function parseMethods(raw: unknown, path: string, faults: string[], context: Context): Routed[] {
  if (!isRecord(raw)) {
    faults.push(`${path}: want http, mqtt, otel or dbMethod in it`);
    return [];
  }
  return Object.entries(raw).flatMap(([key, value]) => {
    const lower = key.toLowerCase();
    if (lower === PASSED_ON || value === undefined || value === null) return [];
    if (lower === 'dbmethod') return parseDatabases(value, `${path}.${key}`, faults, context);
    return readWith(methodReaders, 'push method', [key, value], path, faults, context);
  });
}

function parseDatabases(raw: unknown, path: string, faults: string[], context: Context): Routed[] {
  const entries = isRecord(raw) ? Object.entries(raw) : [];
  if (entries.length === 0) faults.push(`${path}: want influxdb2, redis, mysql or TDEngine in it`);
  return entries.flatMap((entry) => readWith(databaseReaders, 'database', entry, path, faults, context));
}

function readWith(
  readers: Readonly<Record<string, Reader>>,
  what: string,
  [key, value]: [string, unknown],
  path: string,
  faults: string[],
  context: Context,
): Routed[] {
  const reader = readers[key.toLowerCase()];
  const names = Object.keys(readers).join(', ');
  if (!reader) faults.push(`${path}.${key}: no ${what} that is known here: there are ${names}`);
  else if (!isRecord(value)) faults.push(`${path}.${key}: want settings in it`);
  else {
    const before = faults.length;
    const routed = reader(value, `${path}.${key}`, faults, context);
    return routed && faults.length === before ? [routed] : [];
  }
  return [];
}

const methodReaders: Readonly<Record<string, Reader>> = {
  http(value, path, faults) {
    const reader = new ConfigReader(path, faults, value);
    const host = reader.text('hostName');
    const port = reader.has('port') ? reader.whole(['port'], [1, 65_535]) : portless(reader);
    const route = reader.text('requestPath') ?? '/';
    const timeout = reader.whole(['timeout'], [0, Number.MAX_SAFE_INTEGER], 0) ?? 0;
    reader.refuseOthers('pushMethod.http');
    if (!route.startsWith('/')) reader.fault('requestPath', `${route}: want /…`);
    const url = host === undefined ? reader.fault('hostName', 'missing') : httpUrl(reader, host, port);
    const limit = Math.min(timeout || 10, LONGEST_TIMEOUT);
    return url === undefined
      ? undefined
      : { target: { method: 'http', url, timeout: limit }, detail: { path: route } };
  },
  mqtt(value, path, faults) {
    const reader = new ConfigReader(path, faults, value);
    const address = reader.text('address');
    const topic = reader.text('topic');
    const qos = reader.whole(['qos'], [0, 2], 0) as 0 | 1 | 2 | undefined;
    const retained = reader.isTrue('retained');
    reader.refuseOthers('pushMethod.mqtt');
    if (!topic) return reader.fault('topic', 'missing');
    if (/[+#\0]/.test(topic))
      return reader.fault('topic', `${topic}: a topic to publish on has no + and no #`);
    const url = brokerUrl(reader, address);
    return url === undefined
      ? undefined
      : { target: { method: 'mqtt', address: url }, detail: { topic, qos: qos ?? 0, retained } };
  },
  otel(value, path, faults, { type }) {
    const reader = new ConfigReader(path, faults, value);
    const url = webUrl(reader, 'endpointURL');
    reader.refuseOthers('pushMethod.otel');
    if (type === 'STRING' || type === 'BYTES' || type === 'STREAM')
      faults.push(`${path}: OpenTelemetry's metrics are numbers, and the property is a ${type}`);
    return url === undefined ? undefined : { target: { method: 'otel', url }, detail: {} };
  },
};

const databaseReaders: Readonly<Record<string, Reader>> = {
  influxdb2(value, path, faults) {
    const client = within(value, path, 'influxdb2ClientConfig', faults);
    const data = within(value, path, 'influxdb2DataConfig', faults);
    const url = webUrl(client, 'url');
    const [org, bucket] = [wanted(client, 'org'), wanted(client, 'bucket')];
    const [measurement, fieldKey] = [wanted(data, 'measurement'), wanted(data, 'fieldKey')];
    const tag = data.record('tag') ?? {};
    client.refuseOthers('influxdb2ClientConfig');
    data.refuseOthers('influxdb2DataConfig');
    const strange = Object.entries(tag).find(([, text]) => typeof text !== 'string');
    if (strange) data.fault(`tag.${strange[0]}`, `${JSON.stringify(strange[1])}: want a text`);
    if (!url || !org || !bucket || !measurement || !fieldKey) return undefined;
    const detail = { measurement, fieldKey, tag: tag as Record<string, string> };
    return { target: { method: 'influxdb2', url, org, bucket }, detail };
  },
  redis(value, path, faults) {
    const reader = within(value, path, 'redisClientConfig', faults);
    const addr = hostPort(reader, 'addr');
    const db = reader.whole(['db'], [0, 65_535], 0);
    // One connection does: what they ask for is accepted and not needed.
    for (const key of ['poolsize', 'minIdleConns']) reader.whole([key], [0, Number.MAX_SAFE_INTEGER], 0);
    reader.refuseOthers('redisClientConfig');
    return addr === undefined || db === undefined
      ? undefined
      : { target: { method: 'redis', addr, db }, detail: {} };
  },
  mysql(value, path, faults, { id, property }) {
    const reader = within(value, path, 'mysqlClientConfig', faults);
    const addr = hostPort(reader, 'addr');
    const [database, userName] = [wanted(reader, 'database'), wanted(reader, 'userName')];
    reader.refuseOthers('mysqlClientConfig');
    const table = `${id}/${property}`;
    if (table.length > LONGEST_TABLE)
      faults.push(`${path}: its table would be ${table}: MySQL takes names of ${LONGEST_TABLE} characters`);
    return addr && database && userName
      ? { target: { method: 'mysql', addr, database, userName }, detail: {} }
      : undefined;
  },
  tdengine(value, path, faults) {
    const reader = within(value, path, 'TDEngineClientConfig', faults);
    const addr = hostPort(reader, 'addr');
    const dbName = wanted(reader, 'dbName');
    reader.refuseOthers('TDEngineClientConfig');
    return addr && dbName ? { target: { method: 'tdengine', addr, dbName }, detail: {} } : undefined;
  },
};

function within(value: unknown, path: string, key: string, faults: string[]): ConfigReader {
  const found = Object.entries(value as object).find(([name]) => name.toLowerCase() === key.toLowerCase());
  return new ConfigReader(`${path}.${key}`, faults, found?.[1]);
}

function wanted(reader: ConfigReader, key: string): string | undefined {
  return reader.text(key) || reader.fault(key, 'missing');
}

function portless(reader: ConfigReader): undefined {
  reader.text('port');
  return undefined;
}

/** A Device is no place for a password: everybody may read it. */
function hasSecret(reader: ConfigReader, key: string, url: URL | undefined): boolean {
  if (!url?.username && !url?.password) return false;
  reader.fault(
    key,
    'no user and no password here: they belong into modules.push.credentials of edgecore.yaml',
  );
  return true;
}

function httpUrl(reader: ConfigReader, host: string, port: number | undefined): string | undefined {
  const url = parseUrl(/^https?:\/\//i.test(host) ? host : `http://${host}`);
  if (hasSecret(reader, 'hostName', url)) return undefined;
  if (url?.pathname !== '/' || url.search)
    return reader.fault('hostName', `${host}: want HOST, http://HOST or https://HOST`);
  if (port !== undefined) url.port = String(port);
  return url.origin;
}

function webUrl(reader: ConfigReader, key: string): string | undefined {
  const text = reader.text(key);
  if (!text) return reader.fault(key, 'missing');
  const url = parseUrl(text);
  if (hasSecret(reader, key, url)) return undefined;
  const isWeb = url && (url.protocol === 'http:' || url.protocol === 'https:') && url.hostname !== '';
  if (!isWeb) return reader.fault(key, `${text}: want http://HOST:PORT or https://HOST:PORT`);
  return text.replace(/\/$/, '');
}

function brokerUrl(reader: ConfigReader, address: string | undefined): string | undefined {
  if (!address) return reader.fault('address', 'missing');
  const url = parseUrl(address.includes('://') ? address : `tcp://${address}`);
  if (hasSecret(reader, 'address', url)) return undefined;
  if (!url || !/^(tcp|mqtt|ssl|mqtts|tls):$/.test(url.protocol) || !url.hostname || url.port === '0')
    return reader.fault('address', `${address}: want tcp://HOST:PORT or ssl://HOST:PORT`);
  return `${url.protocol}//${url.host}`;
}

function hostPort(reader: ConfigReader, key: string): string | undefined {
  const text = reader.text(key);
  if (!text) return reader.fault(key, 'missing');
  const port = Number(/^(?:\[[0-9a-fA-F:]+\]|[^\s:/[\]]+):(\d{1,5})$/.exec(text)?.[1]);
  return port >= 1 && port <= 65_535 ? text : reader.fault(key, `${text}: want HOST:PORT`);
}

function parseUrl(text: string): URL | undefined {
  try {
    return new URL(text);
  } catch {
    return undefined;
  }
}
