import type { DeviceCommands } from '../core/device-commands.ts';
import type { DeviceModel } from '../core/devices.ts';
import { kubeTime } from '../core/k8s.ts';
import { isOwnHost } from '../core/origin.ts';
import { type DeviceId, deviceId } from '../core/units.ts';
import type { HttpRequest, HttpText } from '../wire/http/http.ts';

/** A device as the API tells of it. */
export type ApiDevice = {
  readonly methods: readonly { readonly name: string; readonly properties: readonly string[] }[];
  readonly properties: readonly {
    readonly name: string;
    /** `int`, `float` …, empty when the model does not say. */
    readonly type: string;
    readonly value?: string;
    /** Why the value is none that is read now. */
    readonly away?: string;
  }[];
  /** `<namespace>/<name>` of its model. */
  readonly modelName: string;
  readonly model?: DeviceModel;
};

export interface DeviceSource {
  device(id: DeviceId): ApiDevice | undefined;
}

export type MapperApiDeps = {
  readonly devices: DeviceSource & Pick<DeviceCommands, 'call'>;
  /** ms since epoch. */
  readonly now: () => number;
};

const VERSION = 'v1';
const METHODS = `/api/${VERSION}/devicemethod`;
const CORRELATION = 'x-correlation-id';
const NO_PAGES = 'web pages may not use this API, and programs call it by IP address or localhost';

type Found = { readonly fields: object } | { readonly status: number; readonly fault: string };
type Route = {
  readonly pattern: readonly string[];
  readonly answer: (names: readonly string[]) => Promise<Found> | Found;
};

/** The HTTP API that KubeEdge's mappers have, with its paths, answers and status codes: {@link answer} is all of it.
 * @source KubeEdge staging/src/github.com/kubeedge/mapper-framework/pkg/httpserver */
export class MapperApi {
  private readonly deps: MapperApiDeps;
  /** `*` stands for any one name. */
  private readonly routes: readonly Route[];

  constructor(deps: MapperApiDeps) {
    this.deps = deps;
    this.routes = [
      { pattern: ['ping'], answer: ping },
      { pattern: ['device', '*', '*', '*'], answer: ([ns, name, property]) => this.read(ns, name, property) },
      { pattern: ['devicemethod', '*', '*'], answer: ([ns, name]) => this.methods(ns, name) },
      { pattern: ['devicemethod', '*', '*', '*', '*', '*'], answer: (names) => this.write(names) },
      { pattern: ['meta', 'model', '*', '*'], answer: ([ns, name]) => this.model(ns, name) },
      { pattern: ['database', '*', '*'], answer: () => noDatabase },
    ];
  }

  async answer(request: HttpRequest): Promise<HttpText> {
    const segments = segmentsOf(request.path);
    if (!segments) return text(400, '400 Bad Request');
    const route = this.routes.find(({ pattern }) => fits(pattern, segments));
    if (!route) return text(404, '404 page not found');
    if (request.method !== 'GET') return { ...text(405, ''), body: '' };
    if (isForeignPage(request)) return text(403, NO_PAGES);
    const found = await route.answer(segments.filter((_, i) => route.pattern[i] === '*'));
    if ('status' in found) return text(found.status, found.fault);
    const correlation = request.header(CORRELATION);
    const base = { apiVersion: VERSION, statusCode: 200, timeStamp: kubeTime(this.deps.now()) };
    return {
      status: 200,
      type: 'application/json',
      body: JSON.stringify({ ...base, ...found.fields }),
      ...(correlation ? { headers: { 'X-Correlation-ID': correlation } } : {}),
    };
  }

  /** Differs: the value is the one that was read last, in its cycle; KubeEdge asks the device. A property that is not there
   * is an error, not an empty value. */
  private read(namespace = '', name = '', property = ''): Found {
    const device = this.deps.devices.device(deviceId(namespace, name));
    const failed = (why: string): Found => ({ status: 500, fault: `Get device data error: ${why}` });
    if (!device) return failed(`not found device ${namespace}/${name}`);
    const found = device.properties.find((p) => p.name === property);
    if (!found) return failed(`can't find device propertyName ${property} in device instance`);
    if (found.away !== undefined) return failed(`get device data failed: ${found.away}`);
    if (found.value === undefined) return failed('get device data failed: it has not been read yet');
    const { value: Value, type: Type } = found;
    const data = { DeviceName: name, PropertyName: property, Namespace: namespace, Value, Type };
    return { fields: { Data: { ...data, TimeStamp: this.deps.now() } } };
  }

  private methods(namespace = '', name = ''): Found {
    const device = this.deps.devices.device(deviceId(namespace, name));
    const failed = (why: string): Found => ({ status: 500, fault: `Get device method error: ${why}` });
    if (!device) return failed(`device ${namespace}/${name} not found`);
    const types = new Map(device.properties.map((p) => [p.name, p.type]));
    const missing = device.methods.flatMap((m) => m.properties).find((property) => !types.has(property));
    if (missing !== undefined)
      return failed(`unable to find device property ${missing} defined in device method`);
    const Methods = device.methods.map((method) => ({
      Name: method.name,
      Path: `${METHODS}/${namespace}/${name}/${method.name}/{propertyName}/{data}`,
      Parameters: method.properties.map((PropertyName) => ({
        PropertyName,
        ValueType: types.get(PropertyName),
      })),
    }));
    return { fields: { Data: { Methods } } };
  }

  private async write([
    namespace = '',
    name = '',
    method = '',
    property = '',
    data = '',
  ]: readonly string[]): Promise<Found> {
    const id = deviceId(namespace, name);
    const outcome = await this.deps.devices.call(id, method, property, data);
    return outcome.kind === 'done'
      ? { fields: { Message: `Write data ${data} to device ${id} successfully.` } }
      : { status: 500, fault: `Write device data error: ${outcome.reason}` };
  }

  private model(namespace = '', name = ''): Found {
    const device = this.deps.devices.device(deviceId(namespace, name));
    if (!device) return { status: 500, fault: `Get device error: device ${namespace}/${name} not found` };
    const { model, modelName } = device;
    if (!model) return { status: 500, fault: `Get device model error: deviceModel ${modelName} not found` };
    const properties = (model.spec.properties ?? []).map((p) =>
      withoutEmpty({
        name: p.name,
        dataType: p.type,
        description: p.description,
        accessMode: p.accessMode,
        minimum: p.minimum,
        maximum: p.maximum,
        unit: p.unit,
      }),
    );
    const of = { id: modelName, name: model.metadata.name, namespace: model.metadata.namespace };
    return { fields: { ...withoutEmpty(of), ...(properties.length > 0 ? { properties } : {}) } };
  }
}

const ping = (): Found => ({
  fields: { Message: `This is ${VERSION} API, the server is running normally.` },
});
const noDatabase: Found = {
  status: 503,
  fault: 'The database is not enabled. Please configure mapper and try again',
};

/** Go's `omitempty`. */
function withoutEmpty(
  fields: Readonly<Record<string, string | undefined>>,
): Record<string, string | undefined> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value));
}

/** What stands behind `/api/v1/`, decoded before it is split, as in Go's mux: a slash cannot be part of a value.
 * @returns undefined for what cannot be decoded */
function segmentsOf(path: string): readonly string[] | undefined {
  try {
    const [, api, version, ...rest] = decodeURIComponent(path).split('/');
    return api === 'api' && version === VERSION ? rest : [];
  } catch {
    return undefined;
  }
}

function fits(pattern: readonly string[], segments: readonly string[]): boolean {
  return (
    pattern.length === segments.length &&
    pattern.every((p, i) => (p === '*' ? segments[i] !== '' : p === segments[i]))
  );
}

/** A GET that writes is one that any page could have a browser send: only a page of this server may, or who types the
 * address. Browsers say so themselves; one too old to say it is not served, nor is a name that somebody has pointed at
 * this machine.
 * @source W3C Fetch Metadata, Sec-Fetch-Site */
function isForeignPage({ header }: HttpRequest): boolean {
  if (!isOwnHost(header('host') ?? 'localhost')) return true;
  const site = header('sec-fetch-site');
  if (site !== undefined) return site !== 'same-origin' && site !== 'none';
  return (header('user-agent') ?? '').startsWith('Mozilla/') || header('origin') !== undefined;
}

/** An error as Go's http.Error writes it. */
function text(status: number, fault: string): HttpText {
  return { status, type: 'text/plain; charset=utf-8', body: `${fault}\n` };
}
