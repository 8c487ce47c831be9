const apiVersion = 'devices.kubeedge.io/v1beta1';

/** A model of a protocol that only mappers over DMI serve. */
export function ovenModel(protocol: string, name = 'oven-model', unit = 'C') {
  return {
    apiVersion,
    kind: 'DeviceModel',
    metadata: { name },
    spec: {
      protocol,
      properties: [
        { name: 'temperature', type: 'FLOAT', accessMode: 'ReadOnly', unit },
        { name: 'setpoint', type: 'INT', accessMode: 'ReadWrite' },
      ],
    },
  };
}

export function oven(options: {
  node: string;
  protocol: string;
  name?: string;
  model?: string;
  setpoint?: string;
  settings?: Readonly<Record<string, unknown>>;
}) {
  const { node, protocol, name = 'oven', model = 'oven-model', setpoint = '180', settings = {} } = options;
  const visitors = (register: number) => ({ protocolName: protocol, configData: { register } });
  return {
    apiVersion,
    kind: 'Device',
    metadata: { name },
    spec: {
      deviceModelRef: { name: model },
      nodeName: node,
      protocol: { protocolName: protocol, configData: { host: 'kitchen', port: 4001, ...settings } },
      stateReport: { reportToCloud: true, reportCycle: 1000 },
      properties: [
        { name: 'temperature', reportToCloud: true, collectCycle: 500, visitors: visitors(1) },
        { name: 'setpoint', reportToCloud: true, desired: { value: setpoint }, visitors: visitors(2) },
      ],
    },
  };
}

/** Sets the setpoint's desired value, as an operator does. */
export function setpointPatch(value: string, name = 'oven'): string[] {
  const patch = [{ op: 'replace', path: '/spec/properties/1/desired/value', value }];
  return ['patch', 'device', name, '--type', 'json', '-p', JSON.stringify(patch)];
}
