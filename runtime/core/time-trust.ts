/** What a moment is known by while the wall clock cannot be trusted. */
export type Moment = {
  /** The kernel's boot id; empty while the clock is trusted. */
  readonly boot: string;
  /** Monotonic ms of that boot. */
  readonly mono: number;
};

/** Whether the wall clock tells the time. */
export interface TimeTrust {
  readonly isTrusted: boolean;
  /** This moment, for what is stored or sent with a time. */
  moment(): Moment;
  /** Calls `listener` when the time has arrived.
   * @param listener.epoch what the wall clock would have shown at monotonic 0 of the boot */
  onArrival(listener: (boot: string, epoch: number) => void): void;
}

/** For machines whose clock is right from the start. */
export const trustedTime: TimeTrust = {
  isTrusted: true,
  moment: () => ({ boot: '', mono: 0 }),
  onArrival: () => {},
};
