import { type PropertyType, shortened } from '../core/devices.ts';

/** One side of a twin: what is wanted (`expected`) or what is (`actual`). */
export type TwinSide = { readonly value: string; readonly metadata: SideMetadata };
export type SideMetadata = {
  readonly timestamp: number;
  /** Boot id and monotonic ms, when the clock was not to be believed: they tell the order. */
  readonly boot?: string;
  readonly mono?: number;
};
export type TwinVersion = { readonly cloud: number; readonly edge: number };
export type TwinType = 'string' | 'int' | 'float' | 'boolean' | 'deleted';

/** One property's twin, in the form of KubeEdge's MsgTwin.
 * @source KubeEdge edge/pkg/devicetwin/dttype */
export type Twin = {
  readonly expected?: TwinSide;
  readonly actual?: TwinSide;
  readonly optional: boolean;
  readonly metadata: { readonly type: TwinType };
  readonly expected_version?: TwinVersion;
  readonly actual_version?: TwinVersion;
};

/** What a sender wants of one twin; null removes it. */
export type TwinUpdate = {
  readonly expected?: string;
  readonly actual?: string;
  readonly type?: TwinType;
  readonly optional?: boolean;
} | null;

const SIDES = ['expected', 'actual'] as const;

export type TwinRefusal = { readonly code: 400 | 404; readonly reason: string };

/** Merges one update into a twin. Every side that the update names counts as a change, even to an equal value.
 * @param current undefined for a property that has no twin yet
 * @param now edge clock
 * @returns the new twin, or the refusal; the input is untouched
 * @source KubeEdge dtmanager/twin.go DealMsgTwin */
export function mergeTwin(
  name: string,
  current: Twin | undefined,
  update: TwinUpdate,
  now: SideMetadata,
): Twin | { refused: TwinRefusal } {
  if (update === null) return removeTwin(name, current);
  const type = liveType(current) ?? update.type ?? 'string';
  for (const side of SIDES) {
    const value = update[side];
    const fault = value === undefined ? undefined : valueFault(value, type);
    if (fault) return refuse(`twin ${name}: ${side} ${shortened(value)} ${fault}`);
  }
  return twinOf({
    expected: update.expected === undefined ? current?.expected : { value: update.expected, metadata: now },
    expected_version: versionAfter(current?.expected_version, update.expected),
    actual: update.actual === undefined ? current?.actual : { value: update.actual, metadata: now },
    actual_version: versionAfter(current?.actual_version, update.actual),
    optional: current?.optional ?? update.optional ?? true,
    type,
  });
}

/** A twin in little memory, of which there may be ten thousands: what many have in common is one object, and the usual one,
 * of which nothing is wanted, has a form without room for more. */
function twinOf(parts: {
  readonly expected: TwinSide | undefined;
  readonly expected_version: TwinVersion | undefined;
  readonly actual: TwinSide | undefined;
  readonly actual_version: TwinVersion | undefined;
  readonly optional: boolean;
  readonly type: TwinType;
}): Twin {
  const { expected, expected_version, actual, actual_version, optional } = parts;
  const metadata = metadataOf[parts.type];
  if (!expected && !expected_version && actual && actual_version)
    return { actual, actual_version, optional, metadata };
  return {
    ...(expected ? { expected } : {}),
    ...(expected_version ? { expected_version } : {}),
    ...(actual ? { actual } : {}),
    ...(actual_version ? { actual_version } : {}),
    optional,
    metadata,
  };
}

/** The same twin in little memory, for one that was read. */
export function compact({
  expected,
  expected_version,
  actual,
  actual_version,
  optional,
  metadata,
}: Twin): Twin {
  return twinOf({
    expected,
    expected_version: expected_version && versionOf(expected_version),
    actual,
    actual_version: actual_version && versionOf(actual_version),
    optional,
    type: metadata.type,
  });
}

/** True when something is wanted and it is not what is. */
export function differs(twin: Twin): boolean {
  return (
    twin.expected !== undefined && twin.expected.value !== '' && twin.expected.value !== twin.actual?.value
  );
}

/** The time has come: values of this boot get their true time.
 * @param epoch what the wall clock would have shown at monotonic 0
 * @returns undefined when there is nothing to change */
export function restampTwin(twin: Twin, boot: string, epoch: number): Twin | undefined {
  const sides = (['expected', 'actual'] as const).flatMap((side) => {
    const { value, metadata } = twin[side] ?? {};
    if (value === undefined || metadata?.mono === undefined || metadata.boot !== boot) return [];
    return [[side, { value, metadata: { timestamp: Math.round(metadata.mono + epoch) } }]];
  });
  return sides.length > 0 ? { ...twin, ...(Object.fromEntries(sides) as Partial<Twin>) } : undefined;
}

/** The twin as it is told to MQTT clients: without versions. */
export function withoutVersions(twin: Twin): Twin {
  const { expected_version: _e, actual_version: _a, ...rest } = twin;
  return rest;
}

/** The twin type that holds a model property's values. */
export function twinType(type: PropertyType): TwinType {
  switch (type) {
    case 'INT':
      return 'int';
    case 'FLOAT':
    case 'DOUBLE':
      return 'float';
    case 'BOOLEAN':
      return 'boolean';
    case 'STRING':
    case 'BYTES':
    case 'STREAM':
      return 'string';
    default:
      return type satisfies never;
  }
}

/** An existing twin's type governs; one that was removed may come back as another type. */
function liveType(current: Twin | undefined): TwinType | undefined {
  return current?.metadata.type === 'deleted' ? undefined : current?.metadata.type;
}

function removeTwin(name: string, current: Twin | undefined): Twin | { refused: TwinRefusal } {
  if (!current) return refuse(`twin ${name}: there is none to remove`);
  if (!current.optional) return refuse(`twin ${name}: it is not optional`);
  return {
    optional: true,
    metadata: { type: 'deleted' },
    expected_version: nextVersion(current.expected_version),
    actual_version: nextVersion(current.actual_version),
  };
}

const metadataOf: Readonly<Record<TwinType, Twin['metadata']>> = {
  string: { type: 'string' },
  int: { type: 'int' },
  float: { type: 'float' },
  boolean: { type: 'boolean' },
  deleted: { type: 'deleted' },
};
/** Those of twins that have changed a few times only: most of them. */
const versions: readonly TwinVersion[] = Array.from({ length: 64 }, (_, edge) => ({ cloud: 0, edge }));

function versionOf({ cloud, edge }: TwinVersion): TwinVersion {
  return (cloud === 0 ? versions[edge] : undefined) ?? { cloud, edge };
}

function nextVersion(version: TwinVersion | undefined): TwinVersion {
  return versionOf({ cloud: version?.cloud ?? 0, edge: (version?.edge ?? 0) + 1 });
}

/** @param value undefined when this side does not change */
function versionAfter(version: TwinVersion | undefined, value: string | undefined): TwinVersion | undefined {
  return value === undefined ? version : nextVersion(version);
}

/** @source KubeEdge dtcommon ValidateValue; spec: int and float as Go's strconv reads them, boolean exactly true or false */
function valueFault(value: string, type: TwinType): string | undefined {
  if (value.length > 512) return 'is longer than 512 characters';
  if (value === '') return undefined;
  switch (type) {
    case 'int':
      return /^[+-]?\d+$/.test(value) ? undefined : 'is no int';
    case 'float':
      return value.trim() === value && Number.isFinite(Number(value)) ? undefined : 'is no float';
    case 'boolean':
      return value === 'true' || value === 'false' ? undefined : 'is no boolean: want true or false';
    case 'string':
    case 'deleted':
      return undefined;
    default:
      return type satisfies never;
  }
}

function refuse(reason: string): { refused: TwinRefusal } {
  return { refused: { code: 400, reason } };
}
