/** What was measured with one client in one round of a workload. */
export interface Result {
  workload: string;
  /** The id of the peer. */
  client: string;
  round: number;
  /** Messages (connections, processes) per second. */
  perSecond: number;
  /** CPU time for each, in microseconds. */
  cpuUs: number;
  peakMiB: number;
  /** From start to end, in milliseconds. */
  ms: number;
  /** How much of that time the load server was busy, 0…1. */
  serverBusy: number;
  p50Us?: number;
  p99Us?: number;
  kibPerConnection?: number;
}

/** A workload that a client did not get through. */
export interface Failure {
  workload: string;
  client: string;
  round: number;
  /** Why. */
  failure: string;
}

/** Where and how the results came about. */
export interface Setting {
  command: string;
  deno: string;
  /** Processor, number of cores, operating system. */
  machine: string;
  rounds: number;
  /** Ids and names of the peers, this package first. */
  clients: Record<string, string>;
}

/** A whole run: the first line of a file of results is its setting. */
export interface Run {
  setting: Setting;
  results: Result[];
  failures: Failure[];
}

/** Reads a file of JSON lines as a run writes it. */
export function parseRun(text: string): Run {
  const [setting, ...lines] = text.trim().split("\n").map((line) => JSON.parse(line));
  return {
    setting,
    results: lines.filter((line): line is Result => !("failure" in line)),
    failures: lines.filter((line): line is Failure => "failure" in line),
  };
}

/** Gives the median of a figure over all rounds, `undefined` without a round. */
export function medianOf(
  { results }: Pick<Run, "results">,
  workload: string,
  client: string,
  of: (result: Result) => number | undefined,
): number | undefined {
  const values = results
    .filter((result) => result.workload === workload && result.client === client)
    .map(of).filter((value) => value !== undefined).sort((a, b) => a - b);
  const middle = values.length >> 1;
  return values.length % 2 === 1 || values.length === 0 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}
