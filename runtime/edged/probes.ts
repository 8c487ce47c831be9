import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { connect } from 'node:net';
import type { Clock, Timer } from '../core/clock.ts';
import { errorText } from '../core/errors.ts';
import type { Container, Probe, ProbeHandler } from '../core/pod.ts';
import { seconds } from '../core/units.ts';
import type { CriCall } from '../wire/cri.ts';
import type { ObservedContainer } from './observed.ts';

export type ProbesDeps = {
  readonly call: CriCall;
  readonly clock: Clock;
  readonly podIP: () => string;
  /** A result changed what the pod's status or plan says. */
  readonly changed: () => void;
  /** A probe failed; for an event. */
  readonly failed: (container: string, kind: ProbeKind, why: string) => void;
};

export type ProbeKind = 'startup' | 'readiness' | 'liveness';
type Watch = {
  readonly container: Container;
  started: boolean;
  ready: boolean;
  alive: boolean;
  timers: Timer[];
};

/** Probes the running containers of one pod.
 * @source Kubernetes: Configure Liveness, Readiness and Startup Probes */
export class Probes {
  private readonly deps: ProbesDeps;
  private readonly watches = new Map<string, Watch>();

  constructor(deps: ProbesDeps) {
    this.deps = deps;
  }

  /** Begins with containers that run and lets go of those that do not. */
  watch(running: readonly { readonly observed: ObservedContainer; readonly container: Container }[]): void {
    const ids = new Set(running.map(({ observed }) => observed.id));
    for (const id of this.watches.keys()) if (!ids.has(id)) this.drop(id);
    for (const { observed, container } of running) {
      if (!this.watches.has(observed.id)) this.begin(observed.id, container);
    }
  }

  isStarted(id: string): boolean {
    return this.watches.get(id)?.started ?? false;
  }

  isReady(id: string): boolean {
    const watch = this.watches.get(id);
    return (watch?.started ?? false) && (watch?.ready ?? false);
  }

  /** Containers that are to be restarted. */
  unhealthy(): Set<string> {
    return new Set([...this.watches].filter(([, watch]) => !watch.alive).map(([id]) => id));
  }

  stop(): void {
    for (const id of [...this.watches.keys()]) this.drop(id);
  }

  private begin(id: string, container: Container): void {
    const { startupProbe, readinessProbe, livenessProbe } = container;
    const watch: Watch = {
      container,
      started: !startupProbe,
      ready: !readinessProbe,
      alive: true,
      timers: [],
    };
    this.watches.set(id, watch);
    if (startupProbe) this.repeat(id, watch, 'startup', startupProbe);
    if (readinessProbe) this.repeat(id, watch, 'readiness', readinessProbe);
    if (livenessProbe) this.repeat(id, watch, 'liveness', livenessProbe);
  }

  private drop(id: string): void {
    for (const timer of this.watches.get(id)?.timers ?? []) timer.cancel();
    this.watches.delete(id);
  }

  private repeat(id: string, watch: Watch, kind: ProbeKind, probe: Probe): void {
    const { clock } = this.deps;
    const state = { good: 0, bad: 0, busy: false };
    const run = async (): Promise<void> => {
      // Until the startup probe has succeeded the others wait.
      if (state.busy || (kind !== 'startup' && !watch.started) || (kind === 'startup' && watch.started))
        return;
      state.busy = true;
      const why = await this.probe(id, watch.container, probe);
      state.busy = false;
      if (this.watches.get(id) === watch) this.judge(watch, kind, probe, state, why);
    };
    const first = clock.after(seconds(probe.initialDelaySeconds ?? 0), () => {
      void run();
      watch.timers.push(clock.every(seconds(probe.periodSeconds ?? 10), () => void run()));
    });
    watch.timers.push(first);
  }

  private judge(
    watch: Watch,
    kind: ProbeKind,
    probe: Probe,
    state: { good: number; bad: number },
    why: string | undefined,
  ): void {
    if (why === undefined) {
      state.good++;
      state.bad = 0;
      if (state.good >= (probe.successThreshold ?? 1)) this.conclude(watch, kind, true);
      return;
    }
    state.bad++;
    state.good = 0;
    if (state.bad < (probe.failureThreshold ?? 3)) return;
    if (state.bad === (probe.failureThreshold ?? 3)) this.deps.failed(watch.container.name, kind, why);
    this.conclude(watch, kind, false);
  }

  private conclude(watch: Watch, kind: ProbeKind, good: boolean): void {
    const before = `${watch.started} ${watch.ready} ${watch.alive}`;
    if (kind === 'readiness') watch.ready = good;
    else if (!good) watch.alive = false;
    else if (kind === 'startup') watch.started = true;
    if (before !== `${watch.started} ${watch.ready} ${watch.alive}`) this.deps.changed();
  }

  /** @returns undefined when it succeeded, else why not */
  private async probe(id: string, container: Container, probe: Probe): Promise<string | undefined> {
    try {
      return await runHandler(
        this.deps.call,
        id,
        container,
        probe,
        this.deps.podIP(),
        probe.timeoutSeconds ?? 1,
      );
    } catch (error) {
      return errorText(error);
    }
  }
}

/** Runs a probe's or a lifecycle hook's action once.
 * @param timeout seconds
 * @returns undefined when it succeeded, else why not; may reject */
export async function runHandler(
  call: CriCall,
  id: string,
  container: Container,
  handler: ProbeHandler,
  podIP: string,
  timeout: number,
): Promise<string | undefined> {
  const { exec, httpGet, tcpSocket } = handler;
  if (exec) {
    const request = { containerId: id, cmd: exec.command ?? [], timeout };
    const { exitCode, stdout, stderr } = await call('execSync', request, seconds(timeout + 5));
    return exitCode === 0
      ? undefined
      : `exit status ${exitCode}: ${Buffer.concat([stdout, stderr]).toString().slice(0, 200)}`;
  }
  if (httpGet) {
    const port = portOf(container, httpGet.port);
    return httpProbe({ ...httpGet, host: httpGet.host ?? podIP, port }, timeout * 1000);
  }
  if (tcpSocket) return tcpProbe(tcpSocket.host ?? podIP, portOf(container, tcpSocket.port), timeout * 1000);
  return 'a probe of a kind that is not offered';
}

function portOf(container: Container, port: number | string): number {
  if (typeof port === 'number') return port;
  return container.ports?.find((p) => p.name === port)?.containerPort ?? Number(port);
}

function httpProbe(
  target: NonNullable<ProbeHandler['httpGet']> & { host: string; port: number },
  timeout: number,
): Promise<string | undefined> {
  const request = target.scheme === 'HTTPS' ? httpsRequest : httpRequest;
  return new Promise((resolve) => {
    const call = request({
      host: target.host,
      port: target.port,
      path: target.path ?? '/',
      headers: Object.fromEntries((target.httpHeaders ?? []).map(({ name, value }) => [name, value])),
      // A probe asks whether something answers, not who it is.
      rejectUnauthorized: false,
      agent: false,
      timeout,
    });
    call.once('timeout', () => call.destroy(new Error(`no answer within ${timeout} ms`)));
    call.once('error', (error) => resolve(error.message));
    call.once('response', (response) => {
      const { statusCode = 0 } = response;
      response.destroy();
      resolve(statusCode >= 200 && statusCode < 400 ? undefined : `HTTP status ${statusCode}`);
    });
    call.end();
  });
}

function tcpProbe(host: string, port: number, timeout: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout });
    const done = (why?: string): void => {
      socket.destroy();
      resolve(why);
    };
    socket.once('connect', () => done());
    socket.once('timeout', () => done(`no connection within ${timeout} ms`));
    socket.once('error', (error) => done(error.message));
  });
}
