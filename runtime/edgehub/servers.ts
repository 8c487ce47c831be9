/** The addresses of the cloud, tried in turn. The one that works is kept to: after a break it comes first again. */
export class Servers {
  private readonly addresses: readonly string[];
  private at = 0;
  private failures = 0;

  /** @param addresses the first one is tried first; what stands there twice counts once */
  constructor(addresses: readonly string[]) {
    this.addresses = [...new Set(addresses)];
  }

  get current(): string {
    return this.addresses[this.at] ?? '';
  }

  get count(): number {
    return this.addresses.length;
  }

  /** The current one works. */
  worked(): void {
    this.failures = 0;
  }

  /** The current one does not: the next is current.
   * @returns true when by now each has failed since one worked */
  failed(): boolean {
    this.at = (this.at + 1) % this.addresses.length;
    this.failures = (this.failures + 1) % this.addresses.length;
    return this.failures === 0;
  }
}
