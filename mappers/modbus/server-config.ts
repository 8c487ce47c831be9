import * as v from 'valibot';
import { hostPort, pathOf, positive } from '../../runtime/core/config-fields.ts';
import { type Format, registersOf } from '../kit/convert.ts';

const whole = (least: number, most: number) =>
  v.pipe(v.number(), v.integer(), v.minValue(least), v.maxValue(most, `want ${least} to ${most}`));
const formats = Object.keys(registersOf) as [Format, ...Format[]];

/** One twin as registers. */
const serverRegister = v.pipe(
  v.strictObject({
    /** `namespace/name` of the Device. */
    device: v.pipe(v.string(), v.regex(/^[^/\s]+\/[^/\s]+$/, 'want NAMESPACE/NAME')),
    property: v.pipe(v.string(), v.minLength(1)),
    unit: v.optional(whole(0, 255), 1),
    register: v.picklist(['holding', 'input', 'coil', 'discrete']),
    address: whole(0, 65_535),
    /** Of a holding or input register. */
    type: v.optional(v.picklist(formats, `want one of ${formats.join(', ')}`), 'float32'),
    /** Registers of a string or of bytes. */
    length: v.optional(whole(1, 123)),
    order: v.optional(v.picklist(['ABCD', 'BADC', 'CDAB', 'DCBA']), 'ABCD'),
    scale: v.optional(
      v.pipe(
        v.number(),
        v.check((n) => n !== 0, 'want another number than 0'),
      ),
      1,
    ),
    add: v.optional(v.number(), 0),
    /** Whether a master may write it: what it writes becomes the desired value. */
    writable: v.optional(v.boolean(), false),
  }),
  v.rawCheck(({ dataset, addIssue }) => {
    if (!dataset.typed) return;
    const { type, length, register, writable, address } = dataset.value;
    const isBit = register === 'coil' || register === 'discrete';
    const size = isBit ? 1 : (registersOf[type] ?? length);
    if (size === undefined)
      addIssue({ message: `want the number of registers of a ${type}`, path: pathOf('length') });
    else if (address + size > 65_536) addIssue({ message: 'ends beyond 65535', path: pathOf('address') });
    if (writable && (register === 'input' || register === 'discrete'))
      addIssue({ message: `want false, as no master can write a ${register}`, path: pathOf('writable') });
  }),
);

/** `modules.modbusServer`, ours: offers twins to a SCADA as the registers of a Modbus TCP device. */
export const modbusServerConfig = v.pipe(
  v.strictObject({
    enable: v.optional(v.boolean(), false),
    /** HOST:PORT; Modbus has no password, so who reaches it may read and write what is listed. */
    address: v.optional(hostPort, '127.0.0.1:502'),
    maxConnections: v.optional(positive('connections'), 8),
    /** What is read of a device that is away: nothing (exception 4), or its last value. */
    whenAway: v.optional(v.picklist(['exception', 'last']), 'exception'),
    registers: v.optional(v.array(serverRegister), []),
  }),
  v.rawCheck(({ dataset, addIssue }) => {
    if (!dataset.typed) return;
    const taken = new Map<string, number>();
    for (const [i, register] of dataset.value.registers.entries()) {
      for (const place of placesOf(register)) {
        const other = taken.get(place);
        taken.set(place, i);
        if (other === undefined) continue;
        addIssue({ message: `overlaps registers.${other}`, path: pathOf('registers', String(i), 'address') });
        break;
      }
    }
  }),
);

export type ModbusServerConfig = Readonly<v.InferOutput<typeof modbusServerConfig>>;
export type ServerRegister = ModbusServerConfig['registers'][number];

/** Registers, or coils, that it takes. */
export function sizeOf({ register, type, length }: ServerRegister): number {
  if (register === 'coil' || register === 'discrete') return 1;
  return registersOf[type] ?? length ?? 1;
}

function placesOf(entry: ServerRegister): string[] {
  const { unit, register, address } = entry;
  return Array.from({ length: sizeOf(entry) }, (_, i) => `${unit} ${register} ${address + i}`);
}
