/** Plugins that misbehave, each a way of its own. Every one serves the protocol of its name. */

/** A plugin whose devices answer with `value`. @param before runs when it is loaded */
function plugin(before: string, value = "'fine'"): string {
  return `${before}
    export default (kit) => ({
      configure(device, model) {
        const { points, faults } = kit.points(device, model);
        return { faults, device: {
          bus: device.metadata.name, shape: '', points,
          connect: async () => ({ close() {} }),
          plan: (due) => [{ points: due, run: async () => due.map(({ property }) => ({ property, value: String(${value}) })) }],
          write: async () => {},
        } };
      },
    });`;
}

export const fine = plugin('');

/** What ends the worker, and the reason that is told. */
export const ends: Readonly<Record<string, { readonly code: string; readonly reason: RegExp }>> = {
  'throws-late': {
    code: plugin("setTimeout(() => { throw new Error('no luck'); }, 500);"),
    reason: /no luck \(main\.mjs:1\)/,
  },
  exits: { code: plugin('setTimeout(() => process.exit(7), 500);'), reason: /process\.exit\(7\)/ },
  'leaks-objects': {
    code: plugin(
      'const all = []; setInterval(() => { for (let i = 0; i < 5000; i++) all.push({ i, text: String(i) }); }, 1);',
    ),
    reason: /more than the 32 MB/,
  },
  'leaks-at-once': {
    code: plugin(
      'setTimeout(() => { const all = []; for (let i = 0; ; i++) all.push({ i, text: String(i) }); }, 500);',
    ),
    reason: /more than the 32 MB/,
  },
  'leaks-buffers': {
    code: plugin('const all = []; setInterval(() => all.push(Buffer.alloc(1e6, 1)), 10);'),
    reason: /MB of buffers/,
  },
  'leaks-buffers-at-once': {
    code: plugin(
      'setTimeout(() => { const all = []; for (;;) { all.push(Buffer.alloc(1e6, 1)); for (const end = Date.now() + 20; Date.now() < end; ); } }, 500);',
    ),
    reason: /blocked and memory has grown/,
  },
  'blocks-for-good': { code: plugin('setTimeout(() => { for (;;); }, 500);'), reason: /loop is blocked/ },
};

/** What goes on, and must not disturb. */
export const goesOn: Readonly<Record<string, string>> = {
  'blocks-a-second': plugin(
    'setInterval(() => { for (const end = Date.now() + 1000; Date.now() < end; ); }, 1500);',
  ),
  'throws-in-turns': plugin('', "(() => { throw new Error('no luck'); })()"),
  prints: plugin("setInterval(() => { for (let i = 0; i < 1000; i++) console.log('x'.repeat(1000)); }, 5);"),
  posts: plugin(
    "import { parentPort } from 'node:worker_threads'; setInterval(() => { for (let i = 0; i < 10000; i++) parentPort.postMessage({ kind: 'report', text: 'x'.repeat(100) }); }, 5);",
  ),
  /** Tells thousands of values in every turn of its loop. */
  floods: `export default (kit) => ({
    configure(device, model) {
      const { points, faults } = kit.points(device, model);
      return { faults, device: {
        bus: device.metadata.name, shape: '', points,
        connect: async () => {
          const timer = { on: true };
          return { timer, close: () => { timer.on = false; } };
        },
        plan: () => [],
        write: async () => {},
        listen(line, heard) {
          let n = 0;
          const talk = () => {
            for (let i = 0; i < 2000; i++) heard(points.map(({ property }) => ({ property, value: String(n++) })));
            for (let i = 0; i < 100; i++) kit.log.warn('x'.repeat(10000));
            if (line.timer.on) setImmediate(talk);
          };
          talk();
        },
      } };
    },
  });`,
};
