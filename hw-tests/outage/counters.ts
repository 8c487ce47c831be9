/** What {@link TwinPublisher}s count up. */
export const countedProperties = ['p0', 'p1', 'p2', 'p3'];

/** A device without a mapper, and its model: values come over MQTT alone. */
export function counterObjects(name: string, node: string): unknown[] {
  const apiVersion = 'devices.kubeedge.io/v1beta1';
  const properties = countedProperties.map((property) => ({
    name: property,
    type: 'INT',
    accessMode: 'ReadOnly',
  }));
  return [
    {
      apiVersion,
      kind: 'DeviceModel',
      metadata: { name },
      spec: { protocol: 'counting', properties },
    },
    {
      apiVersion,
      kind: 'Device',
      metadata: { name },
      spec: {
        deviceModelRef: { name },
        nodeName: node,
        protocol: { protocolName: 'counting' },
        properties: countedProperties.map((property) => ({ name: property, reportToCloud: true })),
      },
    },
  ];
}
