/** A time as `Date.prototype.toISOString` writes it, without that: V8 looks up the local time zone and its name for it, which
 * brings a megabyte of tables into memory, only to write UTC.
 * @throws RangeError for what is no time */
export function isoTime(epochMs: number): string {
  const date = new Date(epochMs);
  const year = date.getUTCFullYear();
  if (!(year >= 0 && year <= 9999)) return date.toISOString();
  const day = `${padded(year, 4)}-${padded(date.getUTCMonth() + 1, 2)}-${padded(date.getUTCDate(), 2)}`;
  const time = [date.getUTCHours(), date.getUTCMinutes(), date.getUTCSeconds()].map((n) => padded(n, 2));
  return `${day}T${time.join(':')}.${padded(date.getUTCMilliseconds(), 3)}Z`;
}

function padded(value: number, digits: number): string {
  return String(value).padStart(digits, '0');
}
