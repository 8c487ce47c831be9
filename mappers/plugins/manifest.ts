import * as v from 'valibot';
import { faultLine, faultsOf } from '../../runtime/core/config-faults.ts';
import { errorText } from '../../runtime/core/errors.ts';
import { DRIVER_CONTRACT } from '../kit/driver.ts';

export const MANIFEST = 'mapper.json';

const NAME = /^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$/;
const wantName = 'want small letters, digits and dashes, at most 40, no dash at an end';
const wantMemory = 'want a whole number of MB, 8 to 256';

const schema = v.strictObject({
  name: v.pipe(v.string(), v.regex(NAME, wantName)),
  version: v.pipe(
    v.string(),
    v.regex(/^\d+\.\d+\.\d+([-+][0-9A-Za-z.+-]+)?$/, 'want a version such as 1.0.0'),
  ),
  contract: v.number(),
  protocols: v.pipe(
    v.array(v.pipe(v.string(), v.regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/, 'want the name of a protocol'))),
    v.minLength(1, 'want at least one protocol'),
    v.maxLength(16, 'want 16 protocols at most'),
  ),
  main: v.optional(
    v.pipe(
      v.string(),
      v.regex(/^[A-Za-z0-9_][A-Za-z0-9._-]*\.m?js$/, 'want the name of a .mjs file in this folder'),
    ),
    'main.mjs',
  ),
  description: v.optional(v.pipe(v.string(), v.maxLength(200, 'want 200 characters at most')), ''),
  memory: v.optional(
    v.pipe(v.number(), v.integer(wantMemory), v.minValue(8, wantMemory), v.maxValue(256, wantMemory)),
    32,
  ),
});

/** `mapper.json`: what a plugin is, and what it may take. */
export type Manifest = Readonly<v.InferOutput<typeof schema>>;

/** Whether a plugin may have this name; it is also its folder's. */
export function isPluginName(name: string): boolean {
  return NAME.test(name);
}

/** Checks a mapper.json.
 * @returns the manifest, or every fault in one line */
export function parseManifest(text: string): Manifest | { readonly refused: string } {
  let raw: unknown;
  try {
    raw = JSON.parse(text);
  } catch (error) {
    return { refused: `${MANIFEST}: not JSON: ${errorText(error)}` };
  }
  const result = v.safeParse(schema, raw);
  if (!result.success)
    return { refused: `${MANIFEST}: ${faultsOf(result.issues).map(faultLine).join('; ')}` };
  const { contract } = result.output;
  if (contract === DRIVER_CONTRACT) return result.output;
  return {
    refused: `${MANIFEST}: contract = ${contract}: this edgecore speaks ${DRIVER_CONTRACT}; ${contractAdvice(contract)}`,
  };
}

function contractAdvice(contract: number): string {
  return contract > DRIVER_CONTRACT
    ? 'update edgecore, or install a version of the plugin for it'
    : 'install a newer version of the plugin';
}
