import type { Device, DeviceState } from '../../core/devices.ts';
import type { DeviceMapper, Reading } from '../../core/dmi.ts';
import { errorText } from '../../core/errors.ts';
import { type DeviceId, deviceId, kibibytes } from '../../core/units.ts';
import { managerMethods } from '../../wire/dmi-messages.ts';
import { type GrpcMethod, GrpcServer } from '../../wire/grpc-server.ts';
import { GrpcError, grpcStatus } from '../../wire/grpc-status.ts';
import { decode, encode, type In, type Out, type Table } from '../../wire/protobuf.ts';
import { fromRow, parseRegistration, type Registration, ROW_TYPE, rowKey, rowOf } from './registration.ts';
import { RemoteMapper, type RemoteMapperDeps } from './remote-mapper.ts';
import { readingsOf, stateOf } from './reports.ts';

/** The part of devicetwin that mappers speak to. */
export interface DmiTwins {
  get(id: DeviceId): { readonly device: Device | undefined; readonly reason: string } | undefined;
  addMapper(mapper: DeviceMapper): void;
  removeMapper(mapper: DeviceMapper, reason: string): void;
  /** @returns why they were refused, all of them */
  reportDeviceStatus(id: DeviceId, readings: readonly Reading[]): string | undefined;
  reportDeviceState(id: DeviceId, state: DeviceState, reason?: string): void;
}

/** The part of the store that keeps registrations. */
export interface RegistrationStore {
  durable(work: () => void): Promise<void>;
  lazy(work: () => void): void;
  readonly meta: {
    put(row: { key: string; type: string; value: string }): void;
    list(type: string): { value: string }[];
    remove(key: string): void;
  };
}

export type DmiManagerDeps = Omit<RemoteMapperDeps, 'twins'> & {
  readonly twins: DmiTwins;
  readonly store: RegistrationStore;
  /** The mapper within edgecore that serves a protocol, if there is one. */
  readonly taken: (protocol: string) => string | undefined;
};

type Methods = typeof managerMethods;
type Handlers = {
  readonly [M in keyof Methods]: (
    request: Out<Methods[M]['request']>,
  ) => Promise<In<Methods[M]['response']>> | In<Methods[M]['response']>;
};

/** A report of every property of a large device has its place; what is larger is refused before it is read. */
const LARGEST = kibibytes(512);

/** Mappers in processes of their own: who has registered, and what they report.
 * Differs: KubeEdge lets all mappers together make one call a second; here the sizes are bounded instead.
 * @source KubeEdge edge/pkg/devicetwin/dmiserver */
export class DmiManager {
  readonly server: GrpcServer;
  private readonly deps: DmiManagerDeps;
  private readonly mappers = new Map<string, RemoteMapper>();

  constructor(deps: DmiManagerDeps) {
    const handlers: Handlers = {
      MapperRegister: (request) => this.register(request),
      ReportDeviceStatus: (request) => this.reportStatus(request),
      ReportDeviceStates: (request) => this.reportStates(request),
    };
    this.deps = deps;
    this.server = new GrpcServer({ methods: grpcMethods(handlers), largest: LARGEST });
  }

  /** Takes up those who registered before edgecore was started. */
  restore(): void {
    for (const { value } of this.deps.store.meta.list(ROW_TYPE)) {
      const registration = fromRow(value);
      if (registration) this.add(registration).begin(registration, [], false);
    }
  }

  /** Who serves a protocol and answers. */
  mapperFor(protocol: string): string | undefined {
    return this.servingMapper(protocol)?.registration.name;
  }

  count(connected: boolean): number {
    return [...this.mappers.values()].filter(({ isConnected }) => isConnected === connected).length;
  }

  stop(): void {
    this.server.close();
    for (const mapper of this.mappers.values()) mapper.stop();
  }

  private async register({
    withData,
    mapper: info,
  }: Out<Methods['MapperRegister']['request']>): Promise<In<Methods['MapperRegister']['response']>> {
    const registration = parseRegistration(info);
    if ('refused' in registration) throw new GrpcError(grpcStatus.invalid, registration.refused);
    this.refuseTaken(registration);
    await this.keep(registration);
    // Another one may have come while the disk was waited for.
    this.refuseTaken(registration);
    const mapper = this.takeOver(registration);
    const { carried } = mapper;
    mapper.begin(registration, withData ? carried : [], true);
    const { name, version, protocol, path } = registration;
    this.deps.log.info('a mapper registered', {
      mapper: name,
      version,
      protocol,
      path,
      devices: carried.length,
    });
    if (!withData) return {};
    const models = new Map(carried.map(({ modelKey, model }) => [modelKey, model]));
    return { modelList: [...models.values()], deviceList: carried.map(({ device }) => device) };
  }

  /** @throws GrpcError exists */
  private refuseTaken({ name, protocol }: Registration): void {
    const other = this.deps.taken(protocol) ?? this.rivalOf(name, protocol);
    if (other === undefined) return;
    const text = `protocol ${protocol} is served by mapper ${other}: remove that one, or name another protocol`;
    this.deps.log.warn('a mapper was refused', { mapper: name, reason: text });
    throw new GrpcError(grpcStatus.exists, text);
  }

  private rivalOf(name: string, protocol: string): string | undefined {
    const serving = this.servingMapper(protocol);
    return serving && serving.registration.name !== name ? serving.registration.name : undefined;
  }

  private servingMapper(protocol: string): RemoteMapper | undefined {
    return [...this.mappers.values()].find(
      ({ isConnected, registration }) => isConnected && registration.protocol === protocol,
    );
  }

  /** @throws GrpcError unavailable: a mapper that was told that it is registered must be so after a power cut */
  private async keep(registration: Registration): Promise<void> {
    const { store } = this.deps;
    try {
      await store.durable(() => store.meta.put(rowOf(registration)));
    } catch (error) {
      throw new GrpcError(grpcStatus.unavailable, `the registration cannot be kept: ${errorText(error)}`);
    }
  }

  /** The mapper of that name, or a new one; those that it replaces go. */
  private takeOver(registration: Registration): RemoteMapper {
    const { name, protocol } = registration;
    for (const other of [...this.mappers.values()]) {
      const isSame = other.registration.name === name;
      if (isSame && other.registration.protocol !== protocol)
        this.drop(other, `mapper ${name} now serves protocol ${protocol}`, false);
      else if (!isSame && other.registration.protocol === protocol)
        this.drop(other, `mapper ${name} has taken over protocol ${protocol}`, true);
    }
    return this.mappers.get(name) ?? this.add(registration);
  }

  private add(registration: Registration): RemoteMapper {
    const mapper = new RemoteMapper(this.deps, registration, () => this.yieldTaken(mapper));
    this.mappers.set(registration.name, mapper);
    this.deps.twins.addMapper(mapper);
    return mapper;
  }

  /** A plugin may have been installed for its protocol while it was away. */
  private yieldTaken(mapper: RemoteMapper): void {
    const { name, protocol } = mapper.registration;
    const other = this.deps.taken(protocol);
    if (other === undefined) return;
    this.deps.log.warn('a mapper is not served any more', {
      mapper: name,
      reason: `mapper ${other} serves ${protocol}`,
    });
    this.drop(mapper, `mapper ${other} serves protocol ${protocol}`, true);
  }

  private drop(mapper: RemoteMapper, reason: string, forget: boolean): void {
    const { name } = mapper.registration;
    const { store, twins } = this.deps;
    this.mappers.delete(name);
    mapper.stop();
    twins.removeMapper(mapper, reason);
    if (forget) store.lazy(() => store.meta.remove(rowKey(name)));
  }

  private reportStatus({
    deviceName,
    deviceNamespace,
    reportedDevice,
  }: Out<Methods['ReportDeviceStatus']['request']>): In<Methods['ReportDeviceStatus']['response']> {
    const { id, device } = this.reported(deviceName, deviceNamespace);
    const readings = readingsOf(reportedDevice?.twins ?? [], id, device, this.deps.clock.now());
    const refusal = this.deps.twins.reportDeviceStatus(id, readings);
    if (refusal !== undefined) throw new GrpcError(grpcStatus.invalid, `device ${id}: ${refusal}`);
    return {};
  }

  private reportStates({
    deviceName,
    deviceNamespace,
    state,
  }: Out<Methods['ReportDeviceStates']['request']>): In<Methods['ReportDeviceStates']['response']> {
    const { id } = this.reported(deviceName, deviceNamespace);
    this.deps.twins.reportDeviceState(id, stateOf(state, id));
    return {};
  }

  /** @throws GrpcError not found */
  private reported(name: string, namespace: string): { id: DeviceId; device: Device } {
    const id = deviceId(namespace || 'default', name);
    const device = this.deps.twins.get(id)?.device;
    if (device) return { id, device };
    for (const mapper of this.mappers.values()) mapper.disown(id);
    throw new GrpcError(grpcStatus.notFound, `device ${id} is not on this node`);
  }
}

function grpcMethods(handlers: Handlers): Map<string, GrpcMethod> {
  return new Map(
    Object.entries(handlers).map(([name, handler]) => {
      const { request, response } = managerMethods[name as keyof Methods];
      const answer = async (bytes: Buffer): Promise<Buffer> =>
        encode(
          response as Table<never>,
          (await handler(decoded(request as Table<never>, bytes, name) as never)) as never,
        );
      return [`/v1beta1.DeviceManagerService/${name}`, answer];
    }),
  );
}

/** @throws GrpcError internal, as gRPC says of a request that does not parse */
function decoded(table: Table<never>, bytes: Buffer, name: string): unknown {
  try {
    return decode(table, bytes);
  } catch (error) {
    throw new GrpcError(
      grpcStatus.internal,
      `the request of ${name} is no such message: ${errorText(error)}`,
    );
  }
}
