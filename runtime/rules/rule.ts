import type { JsonPath } from '../core/json-path.ts';
import type { DeviceId, Millis } from '../core/units.ts';
import type { Template } from './template.ts';

/** A rule that was found to be sound. */
export type Rule = {
  /** `<namespace>/<name>`. */
  readonly id: string;
  readonly namespace: string;
  readonly name: string;
  /** Changes when the rule does: what was known of it before does not count then. */
  readonly fingerprint: string;
  readonly match: 'all' | 'any';
  readonly conditions: readonly Condition[];
  /** How long they have to hold. */
  readonly holdFor: Millis;
  /** Least time between two times that it acts; 0 = none. */
  readonly every: Millis;
  /** `edge`: once when the conditions come to hold; `level`: again each `every` while they hold. */
  readonly trigger: 'edge' | 'level';
  readonly do: readonly Action[];
  /** What is done when the conditions no longer hold, after `do` was. */
  readonly otherwise: readonly Action[];
};

export type Condition = { readonly input: Input; readonly test: Test };

export type Input =
  | { readonly kind: 'property'; readonly device: DeviceId; readonly property: string }
  | { readonly kind: 'topic'; readonly topic: string; readonly path: JsonPath | undefined };

/** The name of a device's state where a property stands otherwise: online, offline, unhealthy, unknown. */
export const STATE = '$state';

export type Test =
  /** Over `limit`, and from then on until it is no longer over `clear`. */
  | { readonly kind: 'above'; readonly limit: number; readonly clear: number }
  | { readonly kind: 'below'; readonly limit: number; readonly clear: number }
  | { readonly kind: 'equals' | 'notEquals'; readonly value: string }
  /** A moment: the value is another one than before. */
  | { readonly kind: 'changes' }
  /** Nothing was heard for so long. */
  | { readonly kind: 'silent'; readonly after: Millis };

export type Action =
  | { readonly kind: 'write'; readonly device: DeviceId; readonly property: string; readonly value: Template }
  | {
      readonly kind: 'publish';
      readonly topic: string;
      readonly payload: Template;
      readonly qos: 0 | 1;
      readonly retain: boolean;
    }
  | {
      readonly kind: 'http';
      readonly url: string;
      readonly method: HttpMethod;
      readonly headers: Readonly<Record<string, string>>;
      readonly body: Template | undefined;
      readonly timeout: Millis;
      /** Kept on disk until the server has it. */
      readonly durable: boolean;
    };

export type HttpMethod = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/** Whether two values say the same: numbers by what they are worth, `70` and `70.0`. */
export function sameText(a: string, b: string): boolean {
  if (a === b) return true;
  return a.trim() !== '' && b.trim() !== '' && Number(a) === Number(b);
}
