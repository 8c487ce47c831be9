import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isPluginName } from '../../mappers/plugins/manifest.ts';
import { EdgeError, errorText } from '../core/errors.ts';

/** What the template is called, wherever it says so. */
const TEMPLATE_NAME = 'example-probe';

/** Writes a mapper to start from.
 * @param within where its folder is made
 * @returns the folder
 * @throws EdgeError CLI_USAGE, MAPPER_FOLDER_EXISTS, MAPPER_FOLDER_UNUSABLE */
export function newMapper(name: string, within: string, assets: readonly string[]): string {
  if (!isPluginName(name)) {
    const detail = `NAME = ${JSON.stringify(name)}: want small letters, digits and dashes, at most 40`;
    throw new EdgeError('CLI_USAGE', { detail });
  }
  const template = assets.map((asset) => join(asset, 'mapper-template')).find((path) => existsSync(path));
  if (!template)
    throw new EdgeError('MAPPER_FOLDER_UNUSABLE', {
      detail: 'mapper-template does not lie beside the program: install edgecore anew',
    });
  const folder = join(within, name);
  if (existsSync(folder)) throw new EdgeError('MAPPER_FOLDER_EXISTS', { detail: folder });
  try {
    mkdirSync(folder, { recursive: true });
    for (const file of readdirSync(template))
      writeFileSync(
        join(folder, file),
        readFileSync(join(template, file), 'utf8').replaceAll(TEMPLATE_NAME, name),
      );
  } catch (error) {
    throw new EdgeError('MAPPER_FOLDER_UNUSABLE', { detail: `${folder}: ${errorText(error)}`, cause: error });
  }
  return folder;
}
