/** MQTT messages a second. */
export const RATE = 50;
/** Registers that change each second. */
export const POINTS = 10;

/** Telemetry of 100 bytes, as a small sensor gateway sends it. */
export function payloadOf(i: number): Buffer {
  const reading = {
    ts: 1_767_225_600_000 + i * 20,
    line: `line3-${i % 8}`,
    temp: 20 + ((i * 7919) % 1000) / 100,
    hum: 40 + ((i * 104_729) % 2000) / 100,
    amps: ((i * 31_337) % 5000) / 1000,
    state: i % 50 === 0 ? 'stopped' : 'running',
  };
  return Buffer.from(JSON.stringify(reading).padEnd(100));
}
