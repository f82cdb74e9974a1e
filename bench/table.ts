import { medianOf, type Result, type Run } from "./result.ts";
import type { Workload } from "./workloads.ts";

/** One thing that a workload is about. */
interface Figure {
  /** Added to the name of the workload. */
  suffix?: string;
  unit: string;
  of(result: Result): number | undefined;
  lessIsBetter?: boolean;
}

/** Makes the table of medians and ratios, in Markdown; every client of the run has a column. */
export function table(run: Run, workloads: readonly Workload[]): string {
  const clients = Object.keys(run.setting.clients);
  const [ours] = clients;
  const others = clients.slice(1);
  const names = clients.map((client) => run.setting.clients[client]);
  const compared = others.map((client) => client === "raw" ? "of raw" : `times ${run.setting.clients[client]}`);
  const costs = ["CPU us", "peak MiB"].map((name) => `${name}: ${clients.join(" / ")}`);
  const head = ["Workload", "unit", ...names, ...compared, ...costs, "server busy"];

  const rows = workloads.flatMap((workload) => {
    const median = (client: string, of: Figure["of"]) => medianOf(run, workload.name, client, of);
    const failed = (client: string) =>
      run.failures.some((failure) => failure.workload === workload.name && failure.client === client);
    if (!clients.some((client) => failed(client) || median(client, ({ ms }) => ms) !== undefined)) return [];
    const each = (of: Figure["of"]) => clients.map((client) => short(median(client, of)) || "-").join(" / ");
    return figures(workload).map(({ suffix = "", unit, of, lessIsBetter = false }) => {
      const values = clients.map((client) => short(median(client, of)) || (failed(client) ? "failed" : ""));
      const ratios = others.map((client) => {
        const [mine, theirs] = [median(ours, of), median(client, of)];
        if (mine === undefined || theirs === undefined) return "";
        const ratio = lessIsBetter ? theirs / mine : mine / theirs;
        return client === "raw" ? `${(ratio * 100).toFixed(0)} %` : ratio.toFixed(1);
      });
      const busy = median(ours, ({ serverBusy }) => serverBusy);
      const percent = busy === undefined || workload.mosquitto ? "" : `${(busy * 100).toFixed(0)} %`;
      const cost = suffix === "" ? [each(({ cpuUs }) => cpuUs), each(({ peakMiB }) => peakMiB), percent] : ["", "", ""];
      return [`${workload.name}${suffix}`, unit, ...values, ...ratios, ...cost];
    });
  });
  const align = head.map((_, i) => i < 2 ? "---" : "--:");
  return [head, align, ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

function figures({ kind, size, slow }: Workload): Figure[] {
  if (kind === "round trip") {
    return [
      { unit: "us, p50", of: ({ p50Us }) => p50Us, lessIsBetter: true },
      { suffix: ", p99", unit: "us", of: ({ p99Us }) => p99Us, lessIsBetter: true },
    ];
  }
  if (kind === "connections") {
    return [
      { unit: "ms", of: ({ ms }) => ms, lessIsBetter: true },
      { suffix: ", memory", unit: "KiB each", of: ({ kibPerConnection }) => kibPerConnection, lessIsBetter: true },
    ];
  }
  if (kind === "cold start") return [{ unit: "ms", of: ({ ms }) => ms, lessIsBetter: true }];
  if (slow) return [{ unit: "peak MiB", of: ({ peakMiB }) => peakMiB, lessIsBetter: true }];
  if (size > 100_000) return [{ unit: "MiB/s", of: ({ perSecond }) => perSecond * size / 1024 / 1024 }];
  return [{ unit: "messages/s", of: ({ perSecond }) => perSecond }];
}

/** Says how busy the load server was where it was the busiest, with this package's client. */
export function busiest(run: Run, workloads: readonly Workload[]): string[] {
  const [ours] = Object.keys(run.setting.clients);
  const [first] = workloads.filter(({ kind, mosquitto }) => (kind === "publish" || kind === "receive") && !mosquitto)
    .flatMap(({ name }) => {
      const busy = medianOf(run, name, ours, ({ serverBusy }) => serverBusy);
      return busy === undefined ? [] : [{ name, busy }];
    }).sort((a, b) => b.busy - a.busy);
  if (first === undefined) return [];
  return [`The load server was busy ${(first.busy * 100).toFixed(0)} % of the time at the most (${first.name}).`];
}

/** Writes a number with about three digits. */
export function short(value: number | undefined): string {
  if (value === undefined) return "";
  if (value >= 1e6) return `${(value / 1e6).toFixed(value < 1e7 ? 2 : 1)}M`;
  if (value >= 1e4) return `${(value / 1e3).toFixed(0)}k`;
  return value >= 1000 ? Math.round(value).toLocaleString("en") : value.toFixed(value < 10 ? 2 : 0);
}
