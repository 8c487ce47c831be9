import type { ChildProcess } from 'node:child_process';
import type { Kubectl } from '../kubectl.ts';

/** Watches what the cluster says that a device's properties are, for a value that comes after a newer one. */
export class TwinWatch {
  readonly latest = new Map<string, number>();
  /** `property: older after newer`. */
  readonly regressions: string[] = [];
  private readonly child: ChildProcess;

  constructor(kubectl: Kubectl, device: string) {
    // A jsonpath with a range prints nothing after the first object of a watch.
    const values = '{{range .status.twins}}{{.propertyName}}={{with .reported}}{{.value}}{{end}} {{end}}';
    const format = `go-template=${values}{{"\\n"}}`;
    const args = ['get', 'devicestatus', device, '-w', '-o', format];
    this.child = kubectl.follow(args, (line) => this.take(line));
  }

  stop(): void {
    this.child.kill();
  }

  private take(line: string): void {
    for (const pair of line.trim().split(' ')) {
      const [property = '', text = ''] = pair.split('=');
      const value = Number(text);
      if (!property || text === '' || !Number.isInteger(value)) continue;
      const before = this.latest.get(property) ?? 0;
      if (value < before) this.regressions.push(`${property}: ${value} after ${before}`);
      this.latest.set(property, Math.max(before, value));
    }
  }
}
