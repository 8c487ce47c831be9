type Labels = Readonly<Record<string, string>>;
type Kind = 'counter' | 'gauge';
type Family = { kind: Kind; help: string; series: Map<string, () => number> };

/** A number that only grows. */
export interface Counter {
  add(n?: number): void;
  readonly value: number;
}

/** What a module needs of the registry. */
export interface MetricSource {
  /** A counter that the caller turns; the same name with other labels is another series of it. */
  counter(name: string, help: string, labels?: Labels): Counter;
  /** A value that is read only when somebody looks. */
  gauge(name: string, help: string, read: () => number, labels?: Labels): void;
}

/** All figures of the process, printed in Prometheus' text format 0.0.4. Names start with `edgecore_`. */
export class Metrics implements MetricSource {
  private readonly families = new Map<string, Family>();

  counter(name: string, help: string, labels: Labels = {}): Counter {
    const counter = {
      value: 0,
      add(n = 1) {
        this.value += n;
      },
    };
    this.register(name, 'counter', help, labels, () => counter.value);
    return counter;
  }

  gauge(name: string, help: string, read: () => number, labels: Labels = {}): void {
    this.register(name, 'gauge', help, labels, read);
  }

  /** The exposition text. */
  render(): string {
    const lines: string[] = [];
    for (const [name, family] of this.families) {
      lines.push(`# HELP ${name} ${family.help}`, `# TYPE ${name} ${family.kind}`);
      for (const [labels, read] of family.series) lines.push(`${name}${labels} ${read()}`);
    }
    return `${lines.join('\n')}\n`;
  }

  private register(name: string, kind: Kind, help: string, labels: Labels, read: () => number): void {
    const family = this.families.get(name) ?? { kind, help, series: new Map() };
    family.series.set(labelText(labels), read);
    this.families.set(name, family);
  }
}

function labelText(labels: Labels): string {
  const pairs = Object.entries(labels).map(
    ([k, v]) => `${k}="${v.replace(/["\\]/g, '\\$&').replaceAll('\n', '\\n')}"`,
  );
  return pairs.length > 0 ? `{${pairs.join(',')}}` : '';
}
