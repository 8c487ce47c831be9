import * as v from 'valibot';

/** `modules.mappers`, ours: mappers that are installed as plugins. */
export const mappersConfig = v.strictObject({
  /** The folder that they are dropped into; empty = `mappers` beside the database. */
  directory: v.optional(v.string(), ''),
});

export type MappersConfig = Readonly<v.InferOutput<typeof mappersConfig>>;
