import {
  bool,
  float,
  int32,
  int64,
  many,
  message,
  messageMap,
  one,
  raw,
  raws,
  str,
  stringMap,
  strings,
} from './protobuf.ts';

/** The messages of the Device Mapper Interface. Where the CRD has a field, it has the CRD's name here, so that objects
 * are encoded as they come.
 * @source KubeEdge dmi/v1beta1 api.proto */

/** @source google/protobuf/any.proto, wrappers.proto */
export const Any = message({ type_url: str(1), value: raw(2) });
export const StringValue = message({ value: str(1) });
export const BoolValue = message({ value: bool(1) });
export const Int64Value = message({ value: int64(1) });
export const FloatValue = message({ value: float(1) });

const CustomizedValue = message({ data: messageMap(1, Any) });
const ProtocolConfig = message({ protocolName: str(1), configData: one(2, CustomizedValue) });
const TwinProperty = message({ value: str(1), metadata: stringMap(2) });
const Twin = message({
  propertyName: str(1),
  observedDesired: one(2, TwinProperty),
  reported: one(3, TwinProperty),
});
const DeviceStatus = message({ twins: many(1, Twin), reportToCloud: bool(2), reportCycle: int64(3) });

const DbMethod = message({
  influxdb2: one(
    1,
    message({
      influxdb2ClientConfig: one(1, message({ url: str(1), org: str(2), bucket: str(3) })),
      influxdb2DataConfig: one(2, message({ measurement: str(1), tag: stringMap(2), fieldKey: str(3) })),
    }),
  ),
  redis: one(
    2,
    message({
      redisClientConfig: one(
        1,
        message({ addr: str(1), db: int32(2), poolsize: int32(3), minIdleConns: int32(4) }),
      ),
    }),
  ),
  TDEngine: one(3, message({ TDEngineClientConfig: one(1, message({ addr: str(1), dbName: str(2) })) })),
  mysql: one(
    4,
    message({ mysqlClientConfig: one(1, message({ addr: str(1), database: str(2), userName: str(3) })) }),
  ),
});

export const PushMethod = message({
  http: one(1, message({ hostName: str(1), port: int64(2), requestPath: str(3), timeout: int64(4) })),
  mqtt: one(2, message({ address: str(1), topic: str(2), qos: int32(3), retained: bool(4) })),
  dbMethod: one(3, DbMethod),
  otel: one(4, message({ endpointURL: str(1) })),
  anomalyDetection: one(5, CustomizedValue),
});

const DeviceProperty = message({
  name: str(1),
  desired: one(2, TwinProperty),
  visitors: one(3, ProtocolConfig),
  reportCycle: int64(4),
  collectCycle: int64(5),
  reportToCloud: bool(6),
  pushMethod: one(7, PushMethod),
});

const DeviceSpec = message({
  deviceModelReference: str(1),
  protocol: one(2, ProtocolConfig),
  properties: many(3, DeviceProperty),
  methods: many(4, message({ name: str(1), description: str(2), propertyNames: strings(3) })),
});

export const DmiDevice = message({
  name: str(1),
  spec: one(2, DeviceSpec),
  status: one(3, DeviceStatus),
  namespace: str(4),
});

const ModelProperty = message({
  name: str(1),
  description: str(2),
  type: str(3),
  accessMode: str(4),
  minimum: str(5),
  maximum: str(6),
  unit: str(7),
});

export const DmiModel = message({
  name: str(1),
  spec: one(2, message({ properties: many(1, ModelProperty) })),
  namespace: str(3),
});

export const MapperInfo = message({
  name: str(1),
  version: str(2),
  api_version: str(3),
  protocol: str(4),
  /** The path of its socket. */
  address: raw(5),
  state: str(6),
});

const Empty = message({});
const DeviceName = message({ deviceName: str(1), deviceNamespace: str(2) });
/** Devices and models are encoded once and sent many times: these fields take the bytes of a DmiDevice, a DmiModel. */
const DeviceRequest = message({ device: raw(1) });
const ModelRequest = message({ model: raw(1) });

/** What edgecore serves. */
export const managerMethods = {
  MapperRegister: {
    request: message({ withData: bool(1), mapper: one(2, MapperInfo) }),
    response: message({ modelList: raws(1), deviceList: raws(2) }),
  },
  ReportDeviceStatus: {
    request: message({ deviceName: str(1), reportedDevice: one(2, DeviceStatus), deviceNamespace: str(3) }),
    response: Empty,
  },
  ReportDeviceStates: {
    request: message({ deviceName: str(1), deviceNamespace: str(2), state: str(3) }),
    response: Empty,
  },
} as const;

/** What a mapper serves, as far as it is called: `GetDevice` is not, because mappers of KubeEdge's framework write all
 * desired values once more when they are asked. */
export const mapperMethods = {
  RegisterDevice: { request: DeviceRequest, response: DeviceName },
  UpdateDevice: { request: DeviceRequest, response: Empty },
  RemoveDevice: { request: DeviceName, response: Empty },
  CreateDeviceModel: {
    request: ModelRequest,
    response: message({ deviceModelName: str(1), deviceModelNamespace: str(2) }),
  },
  UpdateDeviceModel: { request: ModelRequest, response: Empty },
  RemoveDeviceModel: { request: message({ modelName: str(1), modelNamespace: str(2) }), response: Empty },
} as const;
