import { asText, isObject, type Json, type JsonObject, objectsAt } from '../json.ts';
import { age, ageColumn, type Column, nameColumn } from './column.ts';
import { compileJsonPath, findJsonPath } from './json-path.ts';

/** The columns of a version of a CRD: its additionalPrinterColumns, or the age where it has none.
 * @source apiextensions-apiserver pkg/registry/customresource/tableconvertor */
export function customColumns(version: JsonObject): readonly Column[] {
  const columns = objectsAt(version, 'additionalPrinterColumns');
  return columns.length === 0 ? [nameColumn, ageColumn] : [nameColumn, ...columns.map(customColumn)];
}

function customColumn(spec: JsonObject): Column {
  const path = compileJsonPath(asText(spec.jsonPath));
  const type = asText(spec.type) || 'string';
  return {
    name: asText(spec.name),
    type,
    format: asText(spec.format),
    description: asText(spec.description) || `Value at ${asText(spec.jsonPath)}`,
    priority: typeof spec.priority === 'number' ? spec.priority : 0,
    cell: (object, now) => {
      const found = path ? findJsonPath(object, path) : [];
      return found.length === 0 ? (type === 'date' ? '<unknown>' : null) : cellValue(found, type, now);
    },
  };
}

function cellValue(found: Json[], type: string, now: number): Json {
  const [first = null] = found;
  switch (type) {
    case 'date':
      return age(first, now);
    case 'integer':
      return typeof first === 'number' ? Math.trunc(first) : null;
    case 'number':
      return typeof first === 'number' ? first : null;
    case 'boolean':
      return typeof first === 'boolean' ? first : null;
    default:
      return found.map(printed).join(',');
  }
}

function printed(value: Json): string {
  return isObject(value) || Array.isArray(value) ? JSON.stringify(value) : String(value ?? '');
}
