import type { Plugin } from 'esbuild';

/** Packages find their native file by searching node_modules, which a bundle does not have:
 * they get a loader that takes the one file beside the bundle. */
export const bareNative: Plugin = {
  name: 'bare-native',
  setup(build) {
    // Node's own streams are that package's origin; a second copy would take half a megabyte.
    build.onResolve({ filter: /^readable-stream$/ }, () => ({ path: 'node:stream', external: true }));
    build.onResolve({ filter: /^node-gyp-build$/ }, () => ({ path: 'serialport', namespace: 'native' }));
    build.onLoad({ filter: /.*/, namespace: 'native' }, ({ path }) => ({
      contents: `const { join } = require('node:path'); module.exports = () => require(join(__dirname, '${path}.node'));`,
      loader: 'js',
    }));
  },
};
