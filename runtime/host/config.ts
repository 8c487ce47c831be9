import * as v from 'valibot';
import { positive } from '../core/config-fields.ts';

/** `modules.host`: what the machine's flash is meant for. Ours; nothing is bounded by default. */
export const hostConfig = v.strictObject({
  /** MB that the folder of the database may take: state, backups, other versions. */
  stateBudgetMB: v.optional(positive('MB')),
  /** MB that may be written to each disk within 24 hours, by everybody. */
  dailyWritesMB: v.optional(positive('MB')),
});

export type HostConfig = Readonly<v.InferOutput<typeof hostConfig>>;
