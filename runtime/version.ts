/** Set by the bundler from package.json. */
declare const EDGECORE_VERSION: string | undefined;

/** Set by the bundler from the last commit, ms since epoch. */
declare const EDGECORE_BUILT_AT: number | undefined;

/** No clock that is right shows an earlier time. */
export const builtAt = typeof EDGECORE_BUILT_AT === 'number' ? EDGECORE_BUILT_AT : Date.UTC(2026, 0, 1);

export const version = typeof EDGECORE_VERSION === 'string' ? EDGECORE_VERSION : 'development';
