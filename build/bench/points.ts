const apiVersion = 'devices.kubeedge.io/v1beta1';

/** A DeviceModel with properties `p0`, `p1`, … */
export function modelOf(points: number) {
  return {
    apiVersion,
    kind: 'DeviceModel',
    metadata: { name: 'points', namespace: 'default' },
    spec: {
      protocol: 'modbus',
      properties: Array.from({ length: points }, (_, i) => ({
        name: `p${i}`,
        type: 'INT',
        accessMode: 'ReadOnly',
      })),
    },
  };
}

/** A Device of {@link modelOf}, whose point n is input register n of the PLC, read each second.
 * @param options.cycle ms */
export function deviceOf(options: {
  points: number;
  node: string;
  port: number;
  name?: string;
  cycle?: number;
}) {
  const { points, node, port, name = 'points', cycle = 1000 } = options;
  return {
    apiVersion,
    kind: 'Device',
    metadata: { name, namespace: 'default' },
    spec: {
      deviceModelRef: { name: 'points' },
      nodeName: node,
      protocol: { protocolName: 'modbus', configData: { host: '127.0.0.1', port, unitId: 1 } },
      properties: Array.from({ length: points }, (_, i) => ({
        name: `p${i}`,
        reportToCloud: true,
        collectCycle: cycle,
        visitors: { protocolName: 'modbus', configData: { register: 'input', address: i, type: 'uint16' } },
      })),
    },
  };
}
