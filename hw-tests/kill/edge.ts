import { type FSWatcher, watch } from 'node:fs';
import { join } from 'node:path';
import { Program } from '../program.ts';
import { freePorts, Stack } from '../stack.ts';

/** An edge that has joined a cluster which is gone: all that is left runs on this machine. */
export type LoneEdge = {
  readonly port: number;
  readonly database: string;
  /** Starts the process; it is not ready yet. */
  start(): Program;
};

export async function loneEdge(dir: string): Promise<LoneEdge> {
  const stack = new Stack({
    dir,
    ports: await freePorts(),
    node: `edge-kill-${process.pid}`,
    criEndpoint: `unix://${dir}/no-containerd.sock`,
    // What waits for a subscriber that is away must be kept: nothing here is to be dropped.
    modules: { eventBus: { limits: { queueCount: 1_000_000, queueBytes: 2 ** 30 } } },
  });
  try {
    await stack.startMaster();
    await stack.startShim();
    await stack.startEdge();
    await stack.registered();
  } finally {
    await stack.stop();
  }
  return {
    port: stack.options.ports.mqtt,
    database: join(dir, 'edgecore', 'edgecore.db'),
    start: () =>
      new Program({
        name: 'edgecore',
        command: 'dist/edgecore/edgecore',
        args: ['--config', join(dir, 'edgecore.yaml')],
        log: stack.logOf('edgecore'),
        isReady: (line) => line.includes('"message":"started"'),
      }),
  };
}

/** Resolves when the database file is written, which only a checkpoint does, or after `limit` ms.
 * @returns whether it was */
export function checkpointBegins(database: string, limit: number): Promise<boolean> {
  return new Promise((resolve) => {
    const end = (seen: boolean): void => {
      clearTimeout(timer);
      watcher.close();
      resolve(seen);
    };
    const timer = setTimeout(() => end(false), limit);
    const watcher: FSWatcher = watch(database, () => end(true));
  });
}
