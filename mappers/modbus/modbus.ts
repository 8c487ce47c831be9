import type { Device, DeviceModel } from '../../runtime/core/devices.ts';
import type { Configured, Driver } from '../kit/driver.ts';
import { parseModbusDevice } from './config.ts';
import type { ModbusConnection } from './connection.ts';
import { ModbusDevice } from './device.ts';

/** Modbus for the kit. */
export const modbusDriver: Driver<ModbusConnection> = {
  name: 'modbus',
  protocols: ['modbus', 'modbus-tcp', 'modbus-rtu'],
  configure(device: Device, model: DeviceModel): Configured<ModbusConnection> {
    const { device: config, faults } = parseModbusDevice(device, model);
    return config ? { device: new ModbusDevice(config), faults } : { faults };
  },
};
