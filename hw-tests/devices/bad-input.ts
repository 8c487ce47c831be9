/** What can be wrong with a Device, and what an operator is told of it. */

type Objects = { readonly model: BadModel; readonly device: BadDevice };
/** As loose as YAML is. */
// biome-ignore lint/suspicious/noExplicitAny: objects that are wrong on purpose
type Loose = any;
type BadModel = { kind: string; metadata: { name: string }; spec: Loose };
type BadDevice = BadModel;

/** A case: what is done to a good Device and its DeviceModel. */
export type BadInput = {
  readonly what: string;
  readonly spoil: (objects: Objects) => void;
  /** What is said: by `kubectl apply`, or in the DeviceStatus. */
  readonly told: RegExp;
  /** Only an API server that evaluates the rules of a CRD (CEL) says so; mini-master does not. */
  readonly needsRules?: true;
  /** Whether property `good` is read all the same. */
  readonly works?: false;
};

const visitor = (configData: unknown) => ({ protocolName: 'modbus', configData });

/** A Device whose property `good` is the PLC's counter, and whose property `bad` is a setpoint. */
export function goodObjects(node: string, port: number, name: string): Objects {
  const apiVersion = 'devices.kubeedge.io/v1beta1';
  const reported = { reportToCloud: true, collectCycle: 500 };
  return structuredClone({
    model: {
      apiVersion,
      kind: 'DeviceModel',
      metadata: { name },
      spec: {
        protocol: 'modbus',
        properties: [
          { name: 'good', type: 'INT', accessMode: 'ReadOnly' },
          { name: 'bad', type: 'FLOAT', accessMode: 'ReadWrite', minimum: '5', maximum: '80' },
        ],
      },
    },
    device: {
      apiVersion,
      kind: 'Device',
      metadata: { name },
      spec: {
        deviceModelRef: { name },
        nodeName: node,
        protocol: { protocolName: 'modbus', configData: { host: '127.0.0.1', port, unitId: 1 } },
        properties: [
          { name: 'good', ...reported, visitors: visitor({ register: 'input', address: 2, type: 'uint32' }) },
          {
            name: 'bad',
            ...reported,
            visitors: visitor({ register: 'holding', address: 0, type: 'float32' }),
          },
        ],
      },
    },
  });
}

/** Refused when it is applied, by the name and the rule. */
export const refusedByKubectl: readonly BadInput[] = [
  {
    what: 'a property twice',
    spoil: ({ device }) => device.spec.properties.push(device.spec.properties[1]),
    told: /spec\.properties\[2\]: Duplicate value: .*"?name"?:"bad"/,
  },
  {
    what: 'a property twice in the model',
    spoil: ({ model }) => model.spec.properties.push(model.spec.properties[1]),
    told: /spec\.properties\[2\]: Duplicate value: .*"?name"?:"bad"/,
  },
  {
    what: 'a property without name',
    spoil: ({ device }) => delete device.spec.properties[1].name,
    told: /spec\.properties\[1\]\.name: Required value/,
  },
  {
    what: 'an empty name',
    spoil: ({ device }) => set(device.spec.properties[1], 'name', ''),
    told: /spec\.properties\[1\]\.name: Invalid value/,
  },
  {
    what: 'a name of 129 characters',
    spoil: ({ device }) => set(device.spec.properties[1], 'name', 'n'.repeat(129)),
    told: /spec\.properties\[1\]\.name: (Too long|.* at most 128)/,
  },
  {
    what: 'a desired value that is a number',
    spoil: ({ device }) => set(device.spec.properties[1], 'desired', { value: 21 }),
    told: /spec\.properties\[1\]\.desired\.value: Invalid value: "integer"/,
  },
  {
    what: 'a desired value that is left out',
    spoil: ({ device }) => set(device.spec.properties[1], 'desired', {}),
    told: /spec\.properties\[1\]\.desired\.value: Required value/,
  },
  {
    what: 'a cycle that is a text',
    spoil: ({ device }) => set(device.spec.properties[1], 'collectCycle', 'fast'),
    told: /spec\.properties\[1\]\.collectCycle: Invalid value: "string"/,
  },
  {
    what: 'a cycle below zero',
    spoil: ({ device }) => set(device.spec.properties[1], 'collectCycle', -1),
    told: /spec\.properties\[1\]\.collectCycle: Invalid value: -1/,
  },
  {
    what: 'settings that are a list',
    spoil: ({ device }) => set(device.spec.protocol, 'configData', []),
    told: /spec\.protocol\.configData: Invalid value: "array"/,
  },
  {
    what: 'properties that are no list',
    spoil: ({ device }) => set(device.spec, 'properties', 'good'),
    told: /spec\.properties: Invalid value: "string"/,
  },
  {
    what: 'a type that there is not',
    spoil: ({ model }) => set(model.spec.properties[1], 'type', 'REAL'),
    told: /spec\.properties\[1\]\.type: Unsupported value: "REAL"/,
  },
  {
    what: 'an access mode that there is not',
    spoil: ({ model }) => set(model.spec.properties[1], 'accessMode', 'rw'),
    told: /spec\.properties\[1\]\.accessMode: Unsupported value: "rw"/,
  },
  {
    what: 'a limit that is no number',
    spoil: ({ model }) => set(model.spec.properties[1], 'minimum', 'low'),
    told: /spec\.properties\[1\]\.minimum: Invalid value: "low"/,
  },
  {
    what: 'a minimum above the maximum',
    spoil: ({ model }) => set(model.spec.properties[1], 'minimum', '81'),
    told: /spec\.properties\[1\]: Invalid value: .*minimum must not be above maximum/,
    needsRules: true,
  },
];

const desired = (value: string) => (objects: Objects) =>
  set(objects.device.spec.properties[1], 'desired', { value });
const configured = (configData: unknown) => (objects: Objects) =>
  set(objects.device.spec.properties[1], 'visitors', visitor(configData));

/** Told in the DeviceStatus, by property and rule. */
export const toldInStatus: readonly BadInput[] = [
  { what: 'below-minimum', spoil: desired('4.9'), told: /bad.*desired .*4\.9.*below the minimum 5/ },
  { what: 'above-maximum', spoil: desired('81'), told: /bad.*desired .*81.*above the maximum 80/ },
  { what: 'no-number', spoil: desired('warm'), told: /bad.*desired .*warm.*want a number/ },
  { what: 'not-finite', spoil: desired('1e999'), told: /bad.*desired .*1e999.*want a number/ },
  {
    what: 'a-megabyte',
    spoil: desired('9'.repeat(1_000_000)),
    told: /bad.*desired .*want a number|bad.*desired .*longer than 512/,
  },
  {
    what: 'a-megabyte-of-text',
    spoil: (objects) => {
      objects.model.spec.properties[1] = { name: 'bad', type: 'STRING' };
      configured({ register: 'holding', address: 0, type: 'string', length: 4 })(objects);
      desired('x'.repeat(1_000_000))(objects);
    },
    told: /bad.*desired .*longer than/,
  },
  {
    what: 'a-fraction',
    spoil: (objects) => {
      Object.assign(objects.model.spec.properties[1], { type: 'INT' });
      desired('20.5')(objects);
    },
    told: /bad.*desired .*20\.5.*want a whole number/,
  },
  {
    what: 'no-boolean',
    spoil: (objects) => {
      objects.model.spec.properties[1] = { name: 'bad', type: 'BOOLEAN' };
      configured({ register: 'coil', address: 0 })(objects);
      desired('yes')(objects);
    },
    told: /bad.*desired .*yes.*want true or false/,
  },
  {
    what: 'read-only',
    spoil: ({ device }) => set(device.spec.properties[0], 'desired', { value: '1' }),
    told: /good.*desired .*1.*the property is ReadOnly/,
  },
  {
    what: 'read-only-register',
    spoil: (objects) => {
      configured({ register: 'input', address: 0, type: 'int16' })(objects);
      desired('20')(objects);
    },
    told: /bad.*cannot be written/,
  },
  {
    what: 'not-in-the-model',
    spoil: ({ model }) => model.spec.properties.pop(),
    told: /bad.*model/,
  },
  {
    what: 'no-type',
    spoil: ({ model }) => delete model.spec.properties[1].type,
    told: /bad.*type/,
  },
  {
    what: 'unknown-register',
    spoil: configured({ register: 'telephone', address: 0 }),
    told: /properties\[1\].*telephone/,
  },
  {
    what: 'wrong-address',
    spoil: configured({ register: 'holding', address: -1 }),
    told: /properties\[1\].*address/,
  },
  {
    what: 'no-visitor',
    spoil: ({ device }) => delete device.spec.properties[1].visitors,
    told: /properties\[1\]/,
  },
  {
    what: 'unreadable-register',
    spoil: configured({ register: 'holding', address: 9000, type: 'float32' }),
    told: /bad.*exception 2/i,
  },
  {
    what: 'model-absent',
    spoil: ({ device }) => set(device.spec.deviceModelRef, 'name', 'no-such-model'),
    told: /DeviceModel .*no-such-model is not here/,
    works: false,
  },
  {
    what: 'no-model-named',
    spoil: ({ device }) => delete device.spec.deviceModelRef,
    told: /deviceModelRef/,
    works: false,
  },
  {
    what: 'unknown-protocol',
    spoil: ({ device }) => set(device.spec, 'protocol', { protocolName: 'telepathy' }),
    told: /spec\.protocol\.protocolName: no mapper here serves .*telepathy/,
    works: false,
  },
  {
    what: 'no-protocol',
    spoil: ({ device }) => delete device.spec.protocol,
    told: /spec\.protocol\.protocolName: missing/,
    works: false,
  },
  {
    what: 'no-host',
    spoil: ({ device }) => delete device.spec.protocol.configData.host,
    told: /spec\.protocol\.configData.*host/,
    works: false,
  },
];

function set(object: Loose, key: string, value: unknown): void {
  object[key] = value;
}
