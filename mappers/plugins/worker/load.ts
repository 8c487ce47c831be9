import { pathToFileURL } from 'node:url';
import { errorText } from '../../../runtime/core/errors.ts';
import { isRecord } from '../../../runtime/core/message.ts';
import type { PluginDriver, PluginFactory, PluginKit } from './kit.ts';

/** Loads a plugin's module and makes its driver.
 * @returns the driver, or why there is none */
export async function loadDriver(
  main: string,
  protocols: readonly string[],
  kit: PluginKit,
): Promise<PluginDriver | { readonly refused: string }> {
  try {
    const module: unknown = await import(pathToFileURL(main).href);
    const exported = isRecord(module) ? module.default : undefined;
    if (exported === undefined)
      return { refused: 'it has no default export: want `export default (kit) => driver`' };
    const driver: unknown =
      typeof exported === 'function' ? await (exported as PluginFactory)(kit) : exported;
    if (
      typeof driver !== 'object' ||
      driver === null ||
      !('configure' in driver) ||
      typeof driver.configure !== 'function'
    )
      return { refused: 'its default export makes no driver: want an object with configure(device, model)' };
    return protocolFault(driver as PluginDriver, protocols) ?? (driver as PluginDriver);
  } catch (error) {
    return { refused: importFault(error) };
  }
}

function protocolFault(
  { protocols: own }: PluginDriver,
  protocols: readonly string[],
): { readonly refused: string } | undefined {
  if (own === undefined || [...own].sort().join() === [...protocols].sort().join()) return undefined;
  return { refused: `its driver serves ${own.join(', ')}, but mapper.json says ${protocols.join(', ')}` };
}

/** What was thrown, with the line of the plugin where that is known. */
export function importFault(error: unknown): string {
  const text = errorText(error);
  const stack = error instanceof Error ? (error.stack ?? '') : '';
  const place = stack.match(/main\.mjs:\d+/)?.[0];
  return `${text.split('\n', 1)[0]}${place ? ` (${place})` : ''}${adviceFor(error, text)}`;
}

function adviceFor(error: unknown, text: string): string {
  if (/Cannot find (package|module)/.test(text))
    return ': a plugin is one file; bundle what it imports (esbuild --bundle --platform=node --format=esm)';
  return error instanceof SyntaxError ? ': `node --check main.mjs` names the line' : '';
}
