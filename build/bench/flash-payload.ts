/** MQTT messages a second. */
export const RATE = 50;
/** Registers that change each second. */
export const POINTS = 10;

/** Telemetry of 100 bytes, as a small sensor gateway sends it. */
export function payloadOf(i: number): Buffer {
  const reading = {
    ts: 1_767_225_600_000 + i * 20,
    sensor: `line3-${i % 8}`,
    temperature: 20 + ((i * 7919) % 1000) / 100,
    humidity: 40 + ((i * 104_729) % 2000) / 100,
  };
  return Buffer.from(JSON.stringify(reading).padEnd(100));
}
