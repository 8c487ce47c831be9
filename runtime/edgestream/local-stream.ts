import { type ClientRequest, type IncomingMessage, request } from 'node:http';
import { type Connect, LARGEST_DATA } from '../wire/tunnel.ts';

export type LocalStreamDeps = {
  readonly connect: Connect;
  /** Of the kubelet's port on this machine. */
  readonly port: number;
  readonly data: (bytes: Buffer) => void;
  readonly end: () => void;
};

/** One request to the kubelet's port whose answer's body goes into the tunnel. */
export class LocalStream {
  private readonly call: ClientRequest;
  private response: IncomingMessage | undefined;
  private isPaused = false;

  constructor({ connect, port, data, end }: LocalStreamDeps) {
    const { path, query } = connect;
    this.call = request({ host: '127.0.0.1', port, path: query ? `${path}?${query}` : path, agent: false });
    this.call.once('error', (error) => {
      data(Buffer.from(`the kubelet's port does not answer: ${error.message}\n`));
      end();
    });
    this.call.once('response', (response) => {
      this.response = response;
      response.on('data', (bytes: Buffer) => {
        for (let at = 0; at < bytes.length; at += LARGEST_DATA) data(bytes.subarray(at, at + LARGEST_DATA));
      });
      response.once('close', end);
      if (this.isPaused) response.pause();
    });
    this.call.end();
  }

  pause(): void {
    this.isPaused = true;
    this.response?.pause();
  }

  resume(): void {
    this.isPaused = false;
    this.response?.resume();
  }

  stop(): void {
    this.call.removeAllListeners('error').on('error', () => {});
    this.call.destroy();
  }
}
