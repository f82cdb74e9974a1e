/**
 * Shows what a message costs as work grows, and how much memory each queue takes at its bound.
 *
 *   deno task bench:growth [--rounds=3] [--only=PATTERN] [--profile=FOLDER]
 *
 * Every row is measured in a process of its own, with the load server in another; `--only` takes the groups whose names match.
 * `--profile` writes a CPU profile of each row into a folder.
 */
import { parseArgs } from "node:util";
import { type Bound, BOUNDS, type Cost, COSTS } from "./growth_rows.ts";
import type { BoundMeasurement, CostMeasurement } from "./growth_worker.ts";
import { profileFlags, runScript } from "./script.ts";
import { Server } from "./server.ts";
import { short } from "./table.ts";

const { values } = parseArgs({
  args: Deno.args,
  options: {
    rounds: { type: "string", default: "3" },
    only: { type: "string", default: "" },
    profile: { type: "string" },
  },
});
const rounds = Number(values.rounds);
const wanted = new RegExp(values.only);
const encoder = new TextEncoder();

async function start({ mode, ...options }: NonNullable<Cost["server"]>): Promise<Server> {
  return await Server.start(mode, options);
}

async function measure<Measurement>({ server, task }: Cost | Bound): Promise<Measurement> {
  const peer = server && await start(server);
  try {
    const flags = values.profile === undefined ? [] : profileFlags(values.profile);
    return await runScript("./growth_worker.ts", [JSON.stringify(task), peer?.uri ?? ""], 120, flags);
  } finally {
    await peer?.stop();
  }
}

/** Measures every row, round after round, and gives for each the measurement with the middle figure. */
async function measureAll<Measurement>(
  rows: readonly (Cost | Bound)[],
  figure: (measurement: Measurement) => number,
): Promise<(Measurement | undefined)[]> {
  const measured = rows.map((): Measurement[] => []);
  for (let round = 0; round < rounds; round++) {
    for (const [i, row] of rows.entries()) {
      const step = `round ${round + 1} of ${rounds}, ${i + 1} of ${rows.length}: ${row.group}, ${row.label}`;
      Deno.stderr.writeSync(encoder.encode(`\r\x1b[K${step}`));
      try {
        measured[i].push(await measure(row));
      } catch (error) {
        console.error(`\n${row.group}, ${row.label}: ${error instanceof Error ? error.message : error}`);
        Deno.exitCode = 1;
      }
    }
  }
  Deno.stderr.writeSync(encoder.encode("\r\x1b[K"));
  return measured.map((all) => all.sort((a, b) => figure(a) - figure(b))[all.length >> 1]);
}

function markdown(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const align = head.map((_, i) => i < 2 ? "---" : "--:");
  return [head, align, ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

const costs = COSTS.filter(({ group }) => wanted.test(group));
const measuredCosts = await measureAll<CostMeasurement>(costs, ({ cpuUs }) => cpuUs);
const costRows = costs.map(({ group, label, size }, i) => {
  const measured = measuredCosts[i];
  const first = measuredCosts[costs.findIndex((other) => other.group === group)];
  if (measured === undefined) return [group, label, "failed", "", "", "", ""];
  const { wallUs, cpuUs, peakMiB } = measured;
  const ratio = first === undefined || size !== undefined ? "" : (cpuUs / first.cpuUs).toFixed(2);
  const perMiB = size === undefined ? "" : short(cpuUs / (size / 1024 / 1024));
  return [group, label, short(wallUs), short(cpuUs), ratio, perMiB, short(peakMiB)];
});
const bounds = BOUNDS.filter(({ group }) => wanted.test(group));
const measuredBounds = await measureAll<BoundMeasurement>(bounds, ({ grownMiB }) => grownMiB);
const boundRows = bounds.map(({ group, label }, i) => {
  const measured = measuredBounds[i];
  return [
    group,
    label,
    ...(measured === undefined ? ["failed"] : [
      Math.round(measured.held).toLocaleString("en"),
      short(measured.heldMiB),
      short(measured.grownMiB),
    ]),
  ];
});
if (costRows.length > 0) {
  console.log(
    markdown(["Cost", "with", "us/message", "CPU us/message", "times the first", "CPU us/MiB", "peak MiB"], costRows),
  );
}
if (boundRows.length > 0) {
  console.log(`\n${markdown(["Bound", "by", "messages held", "their MiB", "peak memory grown, MiB"], boundRows)}`);
}
