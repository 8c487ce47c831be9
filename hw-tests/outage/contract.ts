import { existsSync, readFileSync, writeFileSync } from 'node:fs';

export type PromiseId = keyof typeof promises;

/** What edgecore promises about outages, the limit of each promise, and the test that proves it. */
export const promises = {
  'edge-killed': {
    promise:
      'edgecore may be killed at any moment: no acknowledged twin value is missing in the cluster afterwards',
    limit: 'ready again within 3 s; containers run on and are not started twice',
    test: 'edgecore is killed under load',
  },
  'shim-killed': {
    promise: 'The cloud half may be killed at any moment: values and pods catch up without manual help',
    limit: 'pods that were created meanwhile start when it is back',
    test: 'the shim is killed under load',
  },
  'link-cut': {
    promise:
      'The link may be cut, slowed to 20 kbit/s with 5 % of the packets lost, or silenced by a filter: nothing acknowledged is lost',
    limit: 'no older value is shown in the cluster after a newer one',
    test: 'the link is cut, slowed or silenced under load',
  },
  'caught-up': {
    promise: 'After an outage the cluster has the values of the node at once',
    limit: 'equal within 1 s of the link',
    test: 'the cluster catches up',
  },
  'half-open': {
    promise: 'A link whose packets vanish is noticed although nobody closes it',
    limit: '45 s',
    test: 'a silent link is noticed within 45 s',
  },
  'boot-offline': {
    promise:
      'A gateway boots without the cloud: devices are polled, retained messages are there, pods run, also those that use a service account token and those whose container has died meanwhile',
    limit: '5 s',
    test: 'without the cloud everything is there again after a boot',
  },
  'pods-at-once': {
    promise: 'Pods that are created at once all run, also when the link fails meanwhile',
    limit: '20 pods within 10 s of the last of three cuts',
    test: '20 pods at once, and the link fails meanwhile',
  },
  'messages-lost': {
    promise:
      'Pods that are created at once all run, also when every tenth message is lost, in either direction',
    limit: '20 pods within 10 s, each with a configmap, a secret and a token of its own',
    test: '20 pods at once while single messages get lost',
  },
  'values-lost': {
    promise:
      'Values reach the cluster although messages are lost, also the last one of a device that falls silent',
    limit: 'no older value is shown in the cluster after a newer one',
    test: 'values come to the cloud while single messages get lost',
  },
  'clock-jumps': {
    promise: 'The clock of a gateway may jump by hours in either direction: the link stays, values go on',
    limit: 'nothing expires or is sent twice for it',
    test: 'the clock jumps by hours both ways',
  },
  'clock-1970': {
    promise:
      'A gateway without a clock polls and connects, by the pinned CA; what it took gets its true time when the time arrives',
    limit: 'the order of values is kept by boot id and monotonic time',
    test: 'a boot in 1970, without the cloud',
  },
  'certificate-expired': {
    promise:
      'A node whose certificate has expired goes on by itself and says so; it may rejoin where that is allowed',
    limit: '`rejoinExpired: true` and a token; see cloud-link.md',
    test: 'a certificate that has expired',
  },
  'ca-replaced': {
    promise: 'A cloud of another CA is refused, in clear words, until a token of the new CA is given',
    limit: 'never silently trusted',
    test: 'the CA of the cloud is replaced',
  },
} as const;

const PAGE = 'runtime/docs/outage-contract.md';
const results = new Map<PromiseId, string>();

/** Notes what the test of a promise has measured, once its limit has held: the page keeps the last result that did. */
export function prove(id: PromiseId, result: string): void {
  results.set(id, result);
  process.stdout.write(`${promises[id].test}: ${result}\n`);
}

/** Brings the page up to date with this run, when `EDGECORE_WRITE_CONTRACT` is set; what did not run keeps its result. */
export function writeContract(): void {
  if (!process.env.EDGECORE_WRITE_CONTRACT) return;
  const before = existsSync(PAGE) ? readFileSync(PAGE, 'utf8') : '';
  writeFileSync(
    PAGE,
    contractPage((id) => results.get(id) ?? earlierResult(before, id)),
  );
}

/** The page. @param resultOf what the last run of a promise's test has measured */
export function contractPage(resultOf: (id: PromiseId) => string): string {
  const rows = (Object.keys(promises) as PromiseId[]).map((id) => {
    const { promise, limit, test } = promises[id];
    return `## ${id}\n\n${promise}.\n\n- Limit: ${limit}.\n- Proven by: "${test}" in hw-tests/outage.\n- Last result: ${resultOf(id)}\n`;
  });
  return `# The outage contract\n\nWhat edgecore promises when the cloud, the link, the power or the process fails. This page is written by the tests that\nprove it: \`EDGECORE_WRITE_CONTRACT=true npm run hw-test -- outage --long\`.\n\n${rows.join('\n')}\n${ELSEWHERE}`;
}

/** What other suites prove. */
const ELSEWHERE = `## elsewhere

- A disk that is full, read-only or failing, and a database that is cut or has flipped bits: [decisions/0003](decisions/0003-a-disk-that-fails.md),
  proven by hw-tests/store.
- MQTT messages and sessions over kills and power cuts: hw-tests/kill.
- Which waiting messages give way in a long outage, and a day of it in simulated time: [cloud-link.md](cloud-link.md),
  runtime/edgehub/outbox.test.ts.
- Slow, lossy and moving links, restarts and new addresses of the cloud: hw-tests/link.
`;

function earlierResult(page: string, id: PromiseId): string {
  const part = page.split(`## ${id}\n`)[1] ?? '';
  return part.match(/- Last result: (.*)/)?.[1] ?? 'not run yet';
}
