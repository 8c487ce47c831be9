/** A temperature probe on a serial line, or behind a serial server on the network. It answers the line `T?` with a line
 * such as `21.5`, takes a setting as `S=20`, which it answers with `OK`, and refuses with `ERR why`.
 * @param {import('./kit.mjs').Kit} kit
 * @returns {import('./kit.mjs').Driver} */
export default (kit) => {
  /** Asks for one line; a refusal leaves the device online, and is told with the property. */
  const ask = async (line, request, timeout) => {
    const answer = await line.ask(`${request}\r\n`, { timeout });
    if (answer.startsWith('ERR ')) throw new kit.WireError('exception', answer.slice(4));
    return answer;
  };

  /** Reads one property. */
  const read = async (line, { property, visitor }, timeout) => {
    const value = await ask(line, `${visitor.letter}?`, timeout);
    return [/^-?[\d.]+$/.test(value) ? { property, value } : { property, fault: `answered ${value}` }];
  };

  return {
    configure(device, model) {
      const config = device.spec.protocol?.configData ?? {};
      const { serialPort, baudRate = 9600, host, port, timeout = 1000 } = config;
      if (!serialPort && !(host && port))
        return { faults: ['spec.protocol.configData.serialPort: missing: want a path such as /dev/ttyUSB0'] };

      const { points, faults } = kit.points(device, model);
      const served = points.filter(({ visitor }) => /^[A-Z]$/.test(visitor.letter));
      for (const { property } of points.filter((point) => !served.includes(point)))
        faults.push(`${property}: visitors.configData.letter: missing: want a letter such as T`);

      return {
        faults,
        device: {
          bus: serialPort ?? `${host}:${port}`,
          busSettings: serialPort ? `${baudRate} baud` : '',
          shape: JSON.stringify([timeout, served]),
          points: served,
          connect: () =>
            serialPort ? kit.openSerial({ path: serialPort, baudRate }) : kit.openTcp({ host, port }),
          plan: (due) => due.map((point) => ({ points: [point], run: (line) => read(line, point, timeout) })),
          write: async (line, { visitor }, value) => {
            await ask(line, `${visitor.letter}=${value}`, timeout);
          },
        },
      };
    },
  };
};
