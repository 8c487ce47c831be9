import { LoadClient } from '../../build/bench/load-client.ts';

export type RoundTrips = { readonly worstMs: number; readonly medianMs: number; readonly count: number };

const EVERY = 10;
const LOST = 30_000;

/** Publishes to itself with QoS 1, one message after the other, and notes how long each takes. */
export class RoundTripMeter {
  private readonly client: LoadClient;
  private heard: () => void = () => {};

  private constructor(client: LoadClient) {
    this.client = client;
    client.onPublish = () => this.heard();
  }

  static async open(port: number): Promise<RoundTripMeter> {
    const client = await LoadClient.connect({ port, clientId: 'round-trips' });
    await client.subscribe('round/trip', 1);
    client.prepare('round/trip', Buffer.alloc(64, 'x'), 1);
    return new RoundTripMeter(client);
  }

  /** @throws Error when a message does not come back */
  async measure(seconds: number): Promise<RoundTrips> {
    const times: number[] = [];
    for (const end = performance.now() + seconds * 1000; performance.now() < end; ) {
      times.push(await this.once());
      await new Promise((resolve) => setTimeout(resolve, EVERY));
    }
    times.sort((a, b) => a - b);
    const at = (share: number): number =>
      Math.round((times[Math.floor((times.length - 1) * share)] ?? 0) * 10) / 10;
    return { worstMs: at(1), medianMs: at(0.5), count: times.length };
  }

  close(): void {
    this.client.close();
  }

  private once(): Promise<number> {
    const began = performance.now();
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`a message did not come back in ${LOST} ms`)), LOST);
      this.heard = () => {
        clearTimeout(timer);
        resolve(performance.now() - began);
      };
      this.client.publish(1);
    });
  }
}
