import type { Plugin } from 'esbuild';

/** Files of packages that are loaded as soon as the package is, and that nothing here uses: modbus-serial's own ports and
 * servers, of which one loads serialport's native part; serialport's parsers, and its imitation for tests. */
const unused =
  /node_modules\/(modbus-serial\/(ports|servers|worker|apis\/connection)|@serialport\/(parser-|binding-mock)|serialport\/dist\/serialport-mock)/;

/** Leaves out of a bundle what would be loaded for nothing. */
export const lean: Plugin = {
  name: 'lean',
  setup({ onLoad }) {
    onLoad({ filter: unused }, () => ({ contents: 'module.exports = () => {};', loader: 'js' }));
    // Messages for the developers of packages, which nobody sees.
    onLoad({ filter: /node_modules\/debug\/src\/index\.js$/ }, () => ({
      contents: 'const none = () => {}; none.extend = () => none; module.exports = () => none;',
      loader: 'js',
    }));
  },
};

/** Leaves a package in a file of its own beside the bundle, for one that is used when the program starts and hardly again:
 * whoever calls one of its functions has it loaded, and after the turn of the event loop it is forgotten, code and all.
 * @param name of the package; its file is `NAME.cjs`
 * @param functions all that is called of it */
export function passing(name: string, functions: readonly string[]): Plugin {
  return {
    name: `passing-${name}`,
    setup({ onResolve, onLoad }) {
      onResolve({ filter: new RegExp(`^${name}$`) }, ({ path }) => ({ path, namespace: 'passing' }));
      onLoad({ filter: /.*/, namespace: 'passing' }, () => ({
        contents: loader(name, functions),
        loader: 'js',
      }));
    },
  };
}

function loader(name: string, functions: readonly string[]): string {
  return `
const { join } = require('node:path');
const file = join(__dirname, '${name}.cjs');
let timer;
function load() {
  timer ??= setImmediate(forget);
  return require(file);
}
function forget() {
  timer = undefined;
  // Node keeps it twice: by its path, and with the program that asked for it.
  const { children } = require.main;
  children.splice(children.indexOf(require.cache[file]), 1);
  delete require.cache[file];
}
${functions.map((called) => `exports.${called} = (...given) => load().${called}(...given);`).join('\n')}
`;
}
