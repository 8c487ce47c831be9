import { existsSync, rmSync } from 'node:fs';
import {
  Client,
  credentials,
  type handleUnaryCall,
  Metadata,
  Server,
  ServerCredentials,
  type ServiceDefinition,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import { loadSync, type PackageDefinition } from '@grpc/proto-loader';

const proto: PackageDefinition = loadSync('hw-tests/dmi/dmi.proto', {
  keepCase: true,
  longs: Number,
  defaults: true,
});
const service = (name: string): ServiceDefinition => proto[`v1beta1.${name}`] as ServiceDefinition;
const wrapped = service('Wrapped');

type Any = { type_url: string; value: Buffer };
type Protocol = { name: string; config: { data: Record<string, Any> } | null };
type Value = { value: string; metadata: Record<string, string> };
type Property = {
  name: string;
  desired: Value | null;
  visitor: Protocol | null;
  report_to_cloud: boolean;
  collect_cycle: number;
};
type Device = {
  name: string;
  namespace: string;
  spec: { model: string; protocol: Protocol; properties: Property[] };
  status: { report_to_cloud: boolean; report_cycle: number } | null;
};
type Model = {
  name: string;
  namespace: string;
  spec: { properties: { name: string; type: string; unit: string }[] };
};
export type Answer = { readonly code: number; readonly text: string };

/** A device as the mapper has understood it. */
export type Served = {
  readonly settings: Record<string, unknown>;
  readonly desired: Record<string, string>;
  readonly visitors: Record<string, Record<string, unknown>>;
};

export type TestMapperOptions = {
  readonly name: string;
  readonly protocol: string;
  /** Of edgecore. */
  readonly dmi: string;
  /** Its own. */
  readonly socket: string;
};

/** A mapper that behaves as those made with KubeEdge's framework do: it registers before it listens, wants the model before
 * the device, passes over RegisterDevice for what it has, and falls over what is missing in a device. */
export class TestMapper {
  readonly devices = new Map<string, Served>();
  readonly models = new Map<string, Model>();
  /** What edgecore called, in order. */
  readonly calls: string[] = [];
  /** While set, devices are refused with it. */
  refusal = '';
  private readonly options: TestMapperOptions;
  private server: Server | undefined;

  constructor(options: TestMapperOptions) {
    this.options = options;
  }

  /** Registers, then listens. @throws Error with the code when it is refused */
  async start({ withData = true } = {}): Promise<void> {
    const answer = await this.register(withData);
    if (answer.code !== 0) throw new Error(`${answer.code} ${answer.text}`);
    await this.listen();
  }

  async register(withData = true): Promise<Answer> {
    const { name, protocol, socket } = this.options;
    const mapper = { name, version: 'v1', api: 'v1.0.0', protocol, socket: Buffer.from(socket), state: 'ok' };
    const answer = await this.call('MapperRegister', { with_data: withData, mapper });
    if (answer.code !== 0) return answer;
    const { models, devices } = answer.value as { models: Model[]; devices: Device[] };
    // The framework keeps these models under another name than it looks for later.
    for (const model of models) this.models.set(`${model.namespace}/${model.name}`, model);
    for (const device of devices) this.serve(device);
    this.models.clear();
    return answer;
  }

  listen(): Promise<void> {
    const { socket } = this.options;
    if (existsSync(socket)) rmSync(socket);
    this.server = new Server();
    this.server.addService(service('DeviceMapperService'), {
      RegisterDevice: this.on('RegisterDevice', ({ device }) => {
        const { name, namespace } = device as Device;
        if (!this.devices.has(`${namespace}/${name}`)) this.serve(device as Device);
        return { name };
      }),
      UpdateDevice: this.on('UpdateDevice', ({ device }) => this.serve(device as Device)),
      RemoveDevice: this.on('RemoveDevice', ({ name, namespace }) => {
        if (!this.devices.delete(`${namespace}/${name}`)) throw new Error('can not find device');
        return {};
      }),
      CreateDeviceModel: this.on('CreateDeviceModel', ({ model }) => this.model(model as Model)),
      UpdateDeviceModel: this.on('UpdateDeviceModel', ({ model }) => this.model(model as Model)),
      RemoveDeviceModel: this.on('RemoveDeviceModel', ({ name, namespace }) => {
        this.models.delete(`${namespace}/${name}`);
        return {};
      }),
    });
    return new Promise((resolve, reject) => {
      this.server?.bindAsync(`unix:${socket}`, ServerCredentials.createInsecure(), (error) =>
        error ? reject(error) : resolve(),
      );
    });
  }

  /** Its process is gone: connections end. */
  stop(): void {
    this.server?.forceShutdown();
    this.server = undefined;
  }

  report(id: string, values: Readonly<Record<string, string>>): Promise<Answer> {
    const [namespace, device] = id.split('/');
    const twins = Object.entries(values).map(([property, value]) => ({
      property,
      desired: { value: this.devices.get(id)?.desired[property] ?? '', metadata: {} },
      reported: { value, metadata: { timestamp: '1', type: 'string' } },
    }));
    return this.call('ReportDeviceStatus', { device, namespace, status: { twins } });
  }

  reportState(id: string, state: string): Promise<Answer> {
    const [namespace, device] = id.split('/');
    return this.call('ReportDeviceStates', { device, namespace, state });
  }

  /** Calls edgecore over a connection of its own, as the framework does. */
  async call(method: string, request: unknown): Promise<Answer & { value?: unknown }> {
    const definition = service('DeviceManagerService')[method];
    if (!definition) throw new Error(`no method ${method}`);
    return this.send(definition.path, definition.requestSerialize(request), definition.responseDeserialize);
  }

  /** The same with bytes as they are given. */
  async send(
    path: string,
    bytes: Buffer,
    deserialize: (bytes: Buffer) => unknown = (b) => b,
  ): Promise<Answer & { value?: unknown }> {
    // As grpc-go before 1.58 does: the host is the path.
    const options = { 'grpc.default_authority': this.options.dmi };
    const client = new Client(`unix:${this.options.dmi}`, credentials.createInsecure(), options);
    const deadline = Date.now() + 5000;
    try {
      return await new Promise((resolve) => {
        const done = (error: ServiceError | null, value?: unknown): void =>
          resolve(error ? { code: error.code, text: error.details } : { code: 0, text: '', value });
        client.makeUnaryRequest(
          path,
          (b: Buffer) => b,
          deserialize,
          bytes,
          new Metadata(),
          { deadline },
          done,
        );
      });
    } finally {
      client.close();
    }
  }

  private on(
    method: string,
    work: (request: Record<string, unknown>) => unknown,
  ): handleUnaryCall<Record<string, unknown>, unknown> {
    return ({ request }, answer) => {
      const subject = (request.device ?? request.model ?? request) as { namespace: string; name: string };
      this.calls.push(`${method} ${subject.namespace}/${subject.name}`);
      try {
        answer(null, work(request));
      } catch (error) {
        answer({ code: status.UNKNOWN, details: (error as Error).message });
      }
    };
  }

  private model(model: Model): unknown {
    this.models.set(`${model.namespace}/${model.name}`, model);
    return { name: model.name };
  }

  private serve({ name, namespace, spec }: Device): unknown {
    if (this.refusal) throw new Error(this.refusal);
    const model = this.models.get(`${namespace}/${spec.model}`);
    if (!model) throw new Error(`deviceModel ${spec.model} not found`);
    const desired: Record<string, string> = {};
    const visitors: Record<string, Record<string, unknown>> = {};
    for (const property of spec.properties) {
      if (!property.desired || !property.visitor?.config) throw new Error('nil pointer dereference');
      if (!model.spec.properties.some((known) => known.name === property.name))
        throw new Error('nil pointer');
      desired[property.name] = property.desired.value;
      visitors[property.name] = unwrap(property.visitor);
    }
    this.devices.set(`${namespace}/${name}`, { settings: unwrap(spec.protocol), desired, visitors });
    return {};
  }
}

function unwrap({ config }: Protocol): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(config?.data ?? {}).map(([key, { type_url, value }]) => {
      const decoder = wrapped[type_url.replace('type.googleapis.com/google.protobuf.', '')];
      if (!decoder) throw new Error(`unknown type ${type_url}`);
      return [key, (decoder.requestDeserialize(value) as { value: unknown }).value];
    }),
  );
}
