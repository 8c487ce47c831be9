import * as fs from 'node:fs';
import { promisify } from 'node:util';

/** Files without waiting, as promises. `node:fs/promises` does the same and costs a megabyte with its first call. */
export const mkdir = promisify(fs.mkdir);
export const readdir = promisify(fs.readdir);
export const readFile = promisify(fs.readFile);
export const rename = promisify(fs.rename);
export const rm = promisify(fs.rm);
export const stat = promisify(fs.stat);
export const writeFile = promisify(fs.writeFile);
