import { spawn } from 'node:child_process';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type Cluster, startCluster } from '../kubernetes/cluster.ts';
import { until } from '../program.ts';

export type Outcome = { readonly status: number; readonly stdout: string; readonly stderr: string };

const LIMIT = 60_000;

/** A gateway on which somebody works: edgecore and kubectl are in the PATH and know their files. */
export class Site {
  readonly cluster: Cluster;
  /** Where the commands are typed. */
  readonly home: string;
  private readonly bin: string;

  private constructor(cluster: Cluster) {
    this.cluster = cluster;
    this.home = join(cluster.stack.options.dir, 'home');
    this.bin = join(cluster.stack.options.dir, 'bin');
  }

  static async open(kubectl: string): Promise<Site> {
    const site = new Site(await startCluster(kubectl));
    const { stack, namespace } = site.cluster;
    mkdirSync(site.home, { recursive: true });
    mkdirSync(site.bin, { recursive: true });
    const edgecore = resolve('dist/edgecore/edgecore');
    const config = join(stack.options.dir, 'edgecore.yaml');
    // Only the configuration does not lie where it does by default.
    site.command(
      'edgecore',
      `case "$2" in new) exec ${edgecore} "$@" ;; *) exec ${edgecore} "$@" --config ${config} ;; esac`,
    );
    site.command('kubectl', `exec ${kubectl} --kubeconfig ${stack.kubeconfig} -n ${namespace} "$@"`);
    return site;
  }

  /** The folder that edgecore takes plugins from. */
  get mappers(): string {
    return join(this.cluster.stack.options.dir, 'edgecore', 'mappers');
  }

  get pid(): number {
    return this.cluster.stack.program('edgecore').pid;
  }

  get isRunning(): boolean {
    return this.cluster.stack.program('edgecore').isRunning;
  }

  close(): Promise<void> {
    return this.cluster.close();
  }

  /** Types a line. */
  type(line: string): Promise<Outcome> {
    const child = spawn('sh', ['-c', line], {
      cwd: this.home,
      env: { ...process.env, PATH: `${this.bin}:${process.env.PATH}` },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: LIMIT,
    });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (text) => {
      stdout += text;
    });
    child.stderr.on('data', (text) => {
      stderr += text;
    });
    return new Promise((done) => child.once('close', (code) => done({ status: code ?? -1, stdout, stderr })));
  }

  /** Types a line that has to succeed. @returns what it printed */
  async must(line: string): Promise<string> {
    const { status, stdout, stderr } = await this.type(line);
    if (status !== 0) throw new Error(`${line}: ${stderr || stdout}`);
    return stdout;
  }

  /** Drops a plugin into the folder, as `cp` does. */
  drop(name: string, code: string, manifest: Readonly<Record<string, unknown>> = {}): void {
    const folder = join(this.mappers, name);
    mkdirSync(folder, { recursive: true });
    const whole = { name, version: '1.0.0', contract: 1, protocols: [name], ...manifest };
    writeFileSync(join(folder, 'main.mjs'), code);
    writeFileSync(join(folder, 'mapper.json'), JSON.stringify(whole));
  }

  /** A device of a protocol with the property `value`. */
  async device(name: string, protocolName: string): Promise<void> {
    const apiVersion = 'devices.kubeedge.io/v1beta1';
    const properties = [{ name: 'value', type: 'STRING', accessMode: 'ReadOnly' }];
    await this.cluster.kubectl.apply(
      {
        apiVersion,
        kind: 'DeviceModel',
        metadata: { name: 'value' },
        spec: { protocol: protocolName, properties },
      },
      {
        apiVersion,
        kind: 'Device',
        metadata: { name },
        spec: {
          deviceModelRef: { name: 'value' },
          nodeName: this.cluster.node,
          protocol: { protocolName, configData: {} },
          properties: [
            {
              name: 'value',
              collectCycle: 100,
              reportToCloud: true,
              visitors: { protocolName, configData: {} },
            },
          ],
        },
      },
    );
  }

  /** Waits until `edgecore mapper list` says so of a mapper. */
  listed(name: string, state: string): Promise<{ state: string; reason: string; version: string }> {
    return until(`mapper ${name} is ${state}`, async () => {
      const { mappers } = JSON.parse(await this.must('edgecore mapper list --output json'));
      const found = mappers.find((mapper: { name: string }) => mapper.name === name);
      return found?.state === state ? found : undefined;
    });
  }

  /** Waits until a jsonpath of a DeviceStatus matches. */
  deviceStatus(name: string, path: string, wanted: RegExp): Promise<string> {
    return until(`${name} ${path} is ${wanted}`, async () => {
      const value = await this.cluster.kubectl.value(['devicestatus', name], path);
      return wanted.test(value) ? value : undefined;
    });
  }

  private command(name: string, line: string): void {
    const path = join(this.bin, name);
    writeFileSync(path, `#!/bin/sh\n${line}\n`);
    chmodSync(path, 0o755);
  }
}
