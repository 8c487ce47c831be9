import * as v from 'valibot';
import { positive } from '../../runtime/core/config-fields.ts';
import { methods } from './target.ts';

/** `modules.push`, ours: what waits for the places that values are pushed to, and how edgecore logs in there. */
export const pushConfig = v.strictObject({
  /** Of all targets together, on disk; then the oldest values give way. */
  maxBytes: v.optional(positive('bytes'), 20_000_000),
  /** Seconds after which a value that was not confirmed is given up. */
  maxAge: v.optional(positive('seconds'), 7 * 86_400),
  /** Values a second of what has waited, to each target; what is new waits behind it. */
  drainRate: v.optional(positive('values a second'), 500),
  /** The first one that fits a target is used; without one the environment as KubeEdge's mappers read it. */
  credentials: v.optional(
    v.array(
      v.strictObject({
        method: v.picklist(methods),
        /** As pushMethod has it: `addr`, `url`, `endpointURL`, `address`, or `hostName:port`; empty = all of the method. */
        address: v.optional(v.string(), ''),
        userName: v.optional(v.string(), ''),
        /** Read with each connection. */
        passwordFile: v.optional(v.string(), ''),
        tokenFile: v.optional(v.string(), ''),
        /** PEM of whom to trust; with mysql it also asks for TLS. */
        caFile: v.optional(v.string(), ''),
      }),
    ),
    [],
  ),
});

export type PushConfig = Readonly<v.InferOutput<typeof pushConfig>>;

/** What KubeEdge's mappers read of the environment.
 * @source KubeEdge mapper-framework data/dbmethod */
export type PushEnvironment = {
  readonly TOKEN?: string | undefined;
  readonly USERNAME?: string | undefined;
  readonly PASSWORD?: string | undefined;
};
