/** Set by the bundler from package.json. */
declare const EDGECORE_VERSION: string | undefined;

export const version = typeof EDGECORE_VERSION === 'string' ? EDGECORE_VERSION : 'development';
