import * as v from 'valibot';
import { positive } from '../core/config-fields.ts';

/** `modules.rules`: what the node does by itself, without the cloud. Ours. */
export const rulesConfig = v.strictObject({
  enable: v.optional(v.boolean(), true),
  /** A file with rules, or a folder of such files; empty: rules come from the cluster only. */
  path: v.optional(v.string(), ''),
  /** A rule that has set itself off so often within so many seconds, alone or over others, is stopped. */
  loop: v.optional(
    v.strictObject({
      times: v.optional(positive('times'), 10),
      seconds: v.optional(positive('seconds'), 60),
    }),
    {},
  ),
});

export type RulesConfig = Readonly<v.InferOutput<typeof rulesConfig>>;
