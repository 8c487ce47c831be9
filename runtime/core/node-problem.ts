/** Something that is measured on the machine and may be a problem; a condition of the node, True while it is one.
 * @source node-problem-detector: conditions that are True when something is wrong */
export type NodeProblem = {
  /** Of the condition. */
  readonly type: string;
  /** Reason while it is one, and while it is none. */
  readonly bad: string;
  readonly good: string;
  /** What is wrong; undefined while all is well. Does not change while it lasts. */
  readonly is: string | undefined;
};
