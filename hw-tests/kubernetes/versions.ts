import { spawnSync } from 'node:child_process';
import { suite } from 'uvu';
import { Assertion } from 'uvu/assert';
import { Kubectl, kubectlPrograms } from '../kubectl.ts';
import { until } from '../program.ts';
import { type Cluster, startCluster } from './cluster.ts';
import { lampDefinition, lampGroup } from './lamps.ts';

/** One version of kubectl, in a namespace of its own. */
export type Version = {
  readonly kubectl: Kubectl;
  /** 33 of 1.33. */
  readonly minor: number;
  readonly namespace: string;
  readonly cluster: Cluster;
  /** The API group of the suite's own kind. */
  readonly group: string;
  /** A name for what has no namespace. */
  own(name: string): string;
};

type Check = (version: Version) => Promise<void>;

/** Registers tests; `run` as of uvu. */
export type EveryVersion = ((sentence: string, check: Check) => void) & { run(): void };

/** How a check went in one version: what went wrong, or nothing. */
type Outcome = Promise<string | undefined>;

type Context = { cluster: Cluster; versions: readonly Version[]; outcomes: readonly (readonly Outcome[])[] };

/** Whom a suite is for in a short run: the versions that differ most, or those between. */
type Whom = 'oldest and newest' | 'between';

export type SuiteOptions = {
  /** Every one of them in a long run. */
  readonly whom?: Whom;
  /** Is done in each namespace before the first test. */
  readonly prepare?: Check;
};

/** A suite whose tests versions of kubectl have to pass, side by side on one cluster. Each version goes through the
 * tests at its own pace, and a test is over when all have been through. */
export function everyKubectl(
  name: string,
  { whom = 'oldest and newest', prepare = async () => {} }: SuiteOptions = {},
): EveryVersion {
  const test = suite<Context>(name);
  const programs = chosen(programByMinor(), whom);
  const [first] = programs.values();
  if (!first) return Object.assign(() => {}, { run: test.run });
  const checks: Check[] = [];

  test.before(async (context) => {
    context.cluster = await startCluster(first, { edge: false });
    try {
      context.versions = await namespaces(context.cluster, programs);
      await Promise.all(context.versions.map(prepare));
    } catch (error) {
      // A stack that goes on would keep the suite from ending.
      await context.cluster.close();
      throw error;
    }
    context.outcomes = context.versions.map((version) => inOrder(checks, version));
  });
  test.after(async ({ cluster, versions }) => {
    await cluster.kubectl.try(['delete', 'crd', `lamps.${lampGroup(cluster)}`, '--wait=false']);
    // What mini-master holds is gone with it.
    if (!cluster.isMiniMaster)
      for (const { namespace } of versions)
        await cluster.kubectl.try(['delete', 'namespace', namespace, '--wait=false']);
    await cluster.close();
  });
  const each = (sentence: string, check: Check): void => {
    const position = checks.push(check) - 1;
    test(sentence, async ({ outcomes }) => {
      const failures = await Promise.all(outcomes.map((of) => of[position]));
      const told = failures.filter((failure) => failure !== undefined);
      if (told.length > 0) throw new Error(told.join('\n'));
    });
  };
  return Object.assign(each, { run: test.run });
}

/** Starts the checks of one version, one after another. */
function inOrder(checks: readonly Check[], version: Version): Outcome[] {
  let before: Promise<unknown> = Promise.resolve();
  return checks.map((check) => {
    const outcome = before.then(() => outcomeOf(check, version));
    before = outcome;
    return outcome;
  });
}

async function outcomeOf(check: Check, version: Version): Outcome {
  try {
    await check(version);
    return undefined;
  } catch (error) {
    const compared = error instanceof Assertion ? `${error.details}\n` : '';
    return `kubectl 1.${version.minor}: ${compared}${error instanceof Error ? error.stack : String(error)}`;
  }
}

/** One program for each version; of two with the same, that of the SDK: the other may be one that looks for it. */
function programByMinor(): ReadonlyMap<number, string> {
  const found = kubectlPrograms().map((program): [number, string] => {
    const { stdout } = spawnSync(program, ['version', '--client', '-o', 'json'], { encoding: 'utf8' });
    const { clientVersion } = JSON.parse(stdout) as { clientVersion: { minor: string } };
    return [Number.parseInt(clientVersion.minor, 10), program];
  });
  return new Map(found);
}

function chosen(programs: ReadonlyMap<number, string>, whom: Whom): ReadonlyMap<number, string> {
  if (process.env.EDGECORE_LONG === 'true') return programs;
  const minors = [...programs.keys()];
  const ends = [Math.min(...minors), Math.max(...minors)];
  return new Map([...programs].filter(([minor]) => ends.includes(minor) === (whom === 'oldest and newest')));
}

/** Makes the namespaces, and the suite's own kind. */
async function namespaces(cluster: Cluster, programs: ReadonlyMap<number, string>): Promise<Version[]> {
  const group = lampGroup(cluster);
  const versions = [...programs].map(([minor, program]): Version => {
    const namespace = `${cluster.namespace}-${minor}`;
    const kubectl = new Kubectl({ program, kubeconfig: cluster.stack.kubeconfig, namespace });
    return { kubectl, minor, namespace, cluster, group, own: (name) => `${namespace}-${name}` };
  });
  const made = versions.map(({ namespace }) => ({
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: namespace },
  }));
  await cluster.kubectl.apply(lampDefinition(group), ...made);
  await cluster.kubectl.run(['wait', '--for=condition=Established', `crd/lamps.${group}`, '--timeout=30s']);
  await until('the default service accounts', async () => {
    const path = '{range .items[*]}{.metadata.namespace} {end}';
    const fields = ['--field-selector', 'metadata.name=default'];
    const there = (await cluster.kubectl.value(['serviceaccounts', '-A', ...fields], path)).split(' ');
    return versions.every(({ namespace }) => there.includes(namespace));
  });
  return versions;
}
