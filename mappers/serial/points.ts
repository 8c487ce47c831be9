import type { DeviceModel, DeviceProperty, ModelProperty, PropertyType } from '../../runtime/core/devices.ts';
import { parseJsonPath } from '../../runtime/core/json-path.ts';
import { millis } from '../../runtime/core/units.ts';
import type { ByteOrder } from '../kit/convert.ts';
import type { DriverPoint } from '../kit/driver.ts';
import { type ByteFormat, bytesOf, type Field, type TextForm } from './fields.ts';
import type { Framing } from './framing.ts';

import { parseQuestion, type Question } from './question.ts';
import { Settings } from './settings.ts';
import { type Outgoing, parseTemplate, type Template, takesValue, usesChecksum } from './template.ts';

/** A property of a serial device. */
export type SerialPoint = DriverPoint & {
  /** Absent = it is heard, or only written. */
  readonly question: Question | undefined;
  /** Where it lies in a frame; absent = it is only written. */
  readonly field: Field | undefined;
  readonly write: PointWrite | undefined;
};

export type PointWrite = {
  readonly send: Template;
  readonly out: Outgoing;
  /** The answer that says yes, and the one that says no; both absent = none is waited for. */
  readonly answer: RegExp | undefined;
  readonly refused: RegExp | undefined;
};

/** What of the device a property depends on. */
export type PointContext = {
  /** A property without a path lies under its own name. */
  readonly isJson: boolean;
  readonly model: DeviceModel;
  readonly framing: Framing;
  readonly questions: ReadonlyMap<string, Question | undefined>;
  readonly listen: boolean;
};

const DEFAULT_CYCLE = 1000;
const MIN_CYCLE = 50;
/** The setting that stands for a kind of field. */
const readBy: Readonly<Record<Field['kind'], string>> = {
  pattern: 'match',
  bytes: 'offset',
  nmea: 'sentence',
  json: 'path',
};
const numeric = new Set<PropertyType>(['INT', 'FLOAT', 'DOUBLE']);

/** @returns undefined when it has a fault, which is noted */
export function parsePoint(
  property: DeviceProperty,
  path: string,
  context: PointContext,
  faults: string[],
): SerialPoint | undefined {
  const { model } = context;
  const modelProperty = model.spec.properties?.find((m) => m.name === property.name);
  if (!modelProperty) {
    faults.push(`${path}.name: ${property.name} is not in model ${model.metadata.name}`);
    return undefined;
  }
  const before = faults.length;
  const layers = [modelProperty.visitors?.configData, property.visitors?.configData];
  const settings = new Settings(`${path}.visitors.configData`, faults, ...layers);
  const text = parseText(settings, modelProperty.type);
  const field = parseField(settings, modelProperty, text, context.isJson);
  const question = field ? parseAsk(settings, context) : undefined;
  const write = parseWrite(settings, text, context.framing);
  if (!field && !write && faults.length === before)
    settings.fault('match', 'missing: want match, offset, sentence, path or write');
  // With a fault the rest of its settings were not asked for.
  if (faults.length === before)
    settings.refuseOthers(field ? `a property read by ${readBy[field.kind]}` : 'a property to write');
  if (faults.length > before) return undefined;
  return {
    property: property.name,
    writable: write !== undefined,
    cycle: millis(Math.max(property.collectCycle ?? DEFAULT_CYCLE, MIN_CYCLE)),
    reportCycle: millis(property.reportCycle ?? 0),
    question,
    field,
    write,
  };
}

function parseText(settings: Settings, type: PropertyType): TextForm {
  const on = settings.text('on');
  const off = settings.text('off');
  if ((on === undefined) !== (off === undefined))
    settings.fault(on === undefined ? 'on' : 'off', 'missing: on and off go together');
  const scale = settings.real('scale', 1);
  if (scale === 0) settings.fault('scale', '0 would make every value the same');
  return {
    type,
    scale,
    add: settings.real('add', 0),
    radix: settings.word('radix', ['10', '16'], '10') === '16' ? 16 : 10,
    decimal: settings.word('decimal', ['.', ','], '.'),
    ...(on === undefined || off === undefined ? {} : { on, off }),
  };
}

function parseField(
  settings: Settings,
  model: ModelProperty,
  text: TextForm,
  isJson: boolean,
): Field | undefined {
  if (settings.has('sentence')) return parseNmea(settings, text);
  if (settings.has('offset')) return parseBytesField(settings, model, text);
  if (settings.has('match')) return parsePattern(settings, text);
  const path = settings.text('path') ?? (isJson ? model.name : undefined);
  if (path === undefined) return undefined;
  const parsed = parseJsonPath(path);
  return 'fault' in parsed ? settings.fault('path', parsed.fault) : { kind: 'json', path: parsed, text };
}

function parsePattern(settings: Settings, text: TextForm): Field | undefined {
  const pattern = settings.pattern('match');
  if (!pattern) return undefined;
  // A pattern with an empty alternative matches anything, and tells what groups it has.
  const groups = new RegExp(`${pattern.source}|`).exec('');
  const count = (groups?.length ?? 1) - 1;
  const names = Object.keys(groups?.groups ?? {});
  const named = settings.text('capture');
  if (named === undefined) {
    return { kind: 'pattern', pattern, group: names.includes('value') ? 'value' : Math.min(count, 1), text };
  }
  const number = /^\d+$/.test(named) ? Number(named) : undefined;
  if (number === undefined ? names.includes(named) : number <= count)
    return { kind: 'pattern', pattern, group: number ?? named, text };
  return settings.fault(
    'capture',
    `${named}: the pattern has ${count} groups${names.length > 0 ? ` (${names.join(', ')})` : ''}`,
  );
}

function parseBytesField(
  settings: Settings,
  model: ModelProperty,
  { scale, add }: TextForm,
): Field | undefined {
  const formats = Object.keys(bytesOf) as ByteFormat[];
  if (!settings.has('type') && model.type !== 'BOOLEAN') {
    settings.need('type', formats.join(', '));
    return undefined;
  }
  const format = settings.word('type', formats, 'bool');
  const order = parseOrder(settings, format);
  const free = bytesOf[format] === undefined;
  const length = free && settings.has('length') ? settings.count('length', 1, [1, 65_536]) : bytesOf[format];
  const isText = format === 'string' || format === 'bytes';
  if (
    (numeric.has(model.type) && (isText || format === 'bool')) ||
    (model.type === 'BOOLEAN' && format !== 'bool')
  )
    settings.fault('type', `${format} gives no ${model.type}`);
  const wide =
    format === 'int8' ? 'int16' : format === 'uint8' ? 'uint16' : format === 'bcd8' ? 'bcd16' : format;
  return {
    kind: 'bytes',
    offset: settings.count('offset', 0, [0, 65_535]),
    length,
    format,
    encoding: { format: wide, order, scale, add, bit: settings.count('bit', 0, [0, 7]) },
    pattern: settings.pattern('match'),
    isWhole: model.type === 'INT',
  };
}

function parseOrder(settings: Settings, format: ByteFormat): ByteOrder {
  const orders = {
    ABCD: 'ABCD',
    BADC: 'BADC',
    CDAB: 'CDAB',
    DCBA: 'DCBA',
    big: 'ABCD',
    little: 'DCBA',
  } as const;
  const order = orders[settings.word('order', Object.keys(orders) as (keyof typeof orders)[], 'ABCD')];
  if (order !== 'ABCD' && bytesOf[format] === undefined) settings.fault('order', `a ${format} has none`);
  return order;
}

function parseNmea(settings: Settings, text: TextForm): Field {
  settings.need('field', 'the number of the field, 1 the first after the name of the sentence');
  return {
    kind: 'nmea',
    talker: settings.text('talker'),
    sentence: settings.text('sentence') ?? '',
    field: settings.count('field', 1, [1, 80]),
    degrees: settings.word('type', ['plain', 'degrees'], 'plain') === 'degrees',
    text,
  };
}

function parseAsk(settings: Settings, { questions, framing, listen }: PointContext): Question | undefined {
  const named = settings.text('ask');
  if (named !== undefined) {
    if (settings.has('request')) return settings.fault('ask', 'is there beside request: want one of them');
    if (questions.has(named)) return questions.get(named);
    const known = [...questions.keys()].join(', ') || 'none';
    return settings.fault(
      'ask',
      `${named}: want a name of spec.protocol.configData.requests (there are: ${known})`,
    );
  }
  if (settings.has('request')) return parseQuestion(settings, 'request', framing.check, listen);
  if (listen) return undefined;
  return settings.fault(
    'request',
    'missing: want request or ask, or listen: true for a device that speaks unasked',
  );
}

function parseWrite(settings: Settings, text: TextForm, { check }: Framing): PointWrite | undefined {
  const template = settings.verbatim('write');
  const answer = settings.pattern('answer');
  const refused = settings.pattern('refused');
  if (template === undefined) return undefined;
  const send = parseTemplate(template);
  if ('fault' in send) return settings.fault('write', send.fault);
  if (!takesValue(send)) return settings.fault('write', `${JSON.stringify(template)} has no {value}`);
  if (usesChecksum(send) && check.kind === 'none')
    return settings.fault('write', 'has {checksum}, but spec.protocol.configData.checksum is none');
  const { type, scale, add, on, off } = text;
  const out = {
    isNumber: numeric.has(type),
    isBoolean: type === 'BOOLEAN',
    scale,
    add,
    on: on ?? 'true',
    off: off ?? 'false',
  };
  return { send, out, answer, refused };
}
