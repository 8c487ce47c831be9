/** What the page shows, all of it, each time: it is small, and a page that missed nothing has nothing to repair. */
export type ConsoleSnapshot = {
  readonly node: string;
  readonly version: string;
  /** ms since epoch. */
  readonly now: number;
  readonly startedAt: number;
  readonly rssMb: number;
  readonly link: {
    readonly state: string;
    readonly since: number;
    /** Which of the cloud's addresses. */
    readonly server: string;
    readonly reason?: string;
  };
  readonly runtime: { readonly ready: boolean; readonly message: string };
  /** Whether state reaches the disk. */
  readonly store: { readonly state: string; readonly since: number; readonly reason?: string };
  readonly devices: readonly ConsoleDevice[];
  readonly plugins: readonly ConsolePlugin[];
  /** Whether the page may write. */
  readonly writes: boolean;
  readonly pods: readonly ConsolePod[];
  readonly rules: readonly ConsoleRule[];
  readonly mqtt: {
    readonly clients: number;
    readonly received: number;
    readonly sent: number;
    readonly dropped: number;
  };
};

export type ConsoleDevice = {
  readonly id: string;
  readonly state: string;
  readonly reason: string;
  readonly protocol: string;
  readonly model: string;
  readonly methods: readonly ConsoleMethod[];
  readonly lastOnline: string;
  readonly properties: readonly ConsoleProperty[];
};

export type ConsoleProperty = {
  readonly name: string;
  readonly value: string;
  readonly unit: string;
  /** ms since epoch of the value; 0 when there is none yet. */
  readonly at: number;
  readonly desired?: string;
  readonly fault?: string;
  /** `INT`, `FLOAT` …; empty while its model is not here. */
  readonly type: string;
  /** Whether the model lets it be written. */
  readonly writable: boolean;
  readonly minimum?: string;
  readonly maximum?: string;
};

export type ConsoleMethod = {
  readonly name: string;
  readonly description: string;
  readonly properties: readonly string[];
};

/** A mapper that is installed as a plugin. */
export type ConsolePlugin = {
  readonly name: string;
  readonly version: string;
  readonly protocols: readonly string[];
  readonly state: string;
  readonly reason: string;
  readonly devices: number;
};

export type ConsolePod = {
  readonly name: string;
  readonly phase: string;
  readonly ready: string;
  readonly restarts: number;
  readonly reason: string;
};

export type ConsoleRule = {
  readonly id: string;
  /** `cluster` or `file`. */
  readonly origin: string;
  /** refused, waiting, pending, active or stopped. */
  readonly state: string;
  readonly fired: number;
  /** ms since epoch. */
  readonly firedAt?: number;
  readonly reason?: string;
  readonly lastError?: string;
};
