/** The Device and DeviceModel of the simulated PLC, small enough to read in a test. */
export function plcObjects(options: { node: string; port: number; name?: string; model?: string }) {
  const { node, port, name = 'plc', model = 'plc-model' } = options;
  const visitor = (configData: unknown) => ({ protocolName: 'modbus', configData });
  const apiVersion = 'devices.kubeedge.io/v1beta1';
  return {
    model: {
      apiVersion,
      kind: 'DeviceModel',
      metadata: { name: model },
      spec: {
        protocol: 'modbus',
        properties: [
          { name: 'temperature', type: 'FLOAT', accessMode: 'ReadOnly' },
          { name: 'counter', type: 'INT', accessMode: 'ReadOnly' },
          { name: 'switch', type: 'BOOLEAN', accessMode: 'ReadWrite' },
        ],
      },
    },
    device: {
      apiVersion,
      kind: 'Device',
      metadata: { name },
      spec: {
        deviceModelRef: { name: model },
        nodeName: node,
        protocol: { protocolName: 'modbus', configData: { host: '127.0.0.1', port, unitId: 1 } },
        properties: [
          {
            name: 'temperature',
            reportToCloud: true,
            collectCycle: 200,
            visitors: visitor({ register: 'input', address: 0, type: 'int16', scale: 0.1 }),
          },
          {
            name: 'counter',
            reportToCloud: true,
            collectCycle: 200,
            visitors: visitor({ register: 'input', address: 2, type: 'uint32' }),
          },
          {
            name: 'switch',
            reportToCloud: true,
            collectCycle: 200,
            desired: { value: 'false' },
            visitors: visitor({ register: 'coil', address: 0 }),
          },
        ],
      },
    },
  };
}

/** Sets the switch's desired value, as an operator does. */
export function switchPatch(value: boolean, device = 'plc'): string[] {
  const patch = [{ op: 'replace', path: '/spec/properties/2/desired/value', value: String(value) }];
  return ['patch', 'device', device, '--type', 'json', '-p', JSON.stringify(patch)];
}

export function twinPath(property: string, side: 'reported' | 'observedDesired' = 'reported'): string {
  return `{.status.twins[?(@.propertyName=="${property}")].${side}.value}`;
}
