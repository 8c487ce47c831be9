import { isObject, type Json, type JsonObject } from '../json.ts';

/** Applies a JSON merge patch; the input stays untouched. @source RFC 7396 */
export function applyMergePatch(document: JsonObject, patch: JsonObject): JsonObject {
  const result: JsonObject = { ...document };
  for (const [key, value] of Object.entries(patch)) {
    if (value === null || value === undefined) delete result[key];
    else result[key] = merged(result[key], value);
  }
  return result;
}

function merged(target: Json | undefined, patch: Json): Json {
  return isObject(patch) ? applyMergePatch(isObject(target) ? target : {}, patch) : patch;
}
