import type { Fault } from '../kit/convert.ts';

export type NmeaPlace = {
  readonly talker: string | undefined;
  readonly sentence: string;
  readonly field: number;
  readonly degrees: boolean;
};

/** The field of a sentence whose checksum was verified and taken off: `$GPGGA,123519,4807.038,N,…`.
 * @returns its text; a fault when it is empty, which means that the device does not know; undefined when it is another
 *   sentence
 * @source NMEA 0183 version 3, sentence structure */
export function nmeaField(
  frame: Buffer,
  { talker, sentence, field, degrees }: NmeaPlace,
): string | Fault | undefined {
  const fields = frame.toString('latin1').split(',');
  const address = fields[0] ?? '';
  const name = address.startsWith('$P') ? address.slice(1) : address.slice(3);
  if (!address.startsWith('$') || name !== sentence) return undefined;
  if (talker !== undefined && address.slice(1, 3) !== talker) return undefined;
  const text = fields[field];
  if (text === undefined)
    return { fault: `${sentence} has ${fields.length - 1} fields and no field ${field}` };
  if (text === '') return { fault: `field ${field} of ${sentence} is empty: the device does not know it` };
  return degrees ? toDegrees(text, fields[field + 1] ?? '') : text;
}

/** `4807.038`, `N` is 48° 7.038'. Seven places are a centimetre. */
function toDegrees(text: string, hemisphere: string): string | Fault {
  const parts = /^(\d{2,3})(\d{2}(?:\.\d+)?)$/.exec(text);
  const minutes = Number(parts?.[2]);
  if (!parts || minutes >= 60 || !/^[NSEW]$/.test(hemisphere))
    return { fault: `${text},${hemisphere} is no latitude or longitude` };
  const degrees = Number(parts[1]) + minutes / 60;
  const isNegative = hemisphere === 'S' || hemisphere === 'W';
  return String(Number((isNegative ? -degrees : degrees).toFixed(7)));
}
