import type { FrameCheck } from './frame-check.ts';
import type { Settings } from './settings.ts';
import { parseTemplate, type Template, takesValue, usesChecksum } from './template.ts';

/** A question to the device. */
export type Question = {
  readonly send: Template;
  /** As it is written, to name it and to know it again. */
  readonly text: string;
  /** How its answer is known among other frames; absent = the first frame that comes. */
  readonly expect: RegExp | undefined;
};

/** Reads the question of a property or of a named request.
 * @returns undefined when there is none, or it has a fault */
export function parseQuestion(
  settings: Settings,
  key: string,
  check: FrameCheck,
  listen: boolean,
): Question | undefined {
  const text = settings.verbatim(key);
  const expect = settings.pattern('expect');
  if (text === undefined) return undefined;
  const send = parseTemplate(text);
  if ('fault' in send) return settings.fault(key, send.fault);
  if (takesValue(send)) return settings.fault(key, '{value} has no meaning in a question: want it in write');
  if (usesChecksum(send) && check.kind === 'none')
    return settings.fault(key, 'has {checksum}, but spec.protocol.configData.checksum is none');
  if (listen && !expect)
    return settings.fault(
      'expect',
      'missing: want a pattern that tells the answer from what the device says unasked',
    );
  return { send, text, expect };
}
