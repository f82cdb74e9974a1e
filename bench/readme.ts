/** Writes the results of a run into README.md, between `<!-- performance:begin -->` and `<!-- performance:end -->`. */
import { withMarked } from "../tools/marked.ts";
import { parseRun, type Run } from "./result.ts";
import { busiest, table } from "./table.ts";
import { WORKLOADS } from "./workloads.ts";

const README_URL = new URL("../README.md", import.meta.url);
const RESULTS_URL = new URL("results.jsonl", import.meta.url);

// Run by itself it writes them anew, after a change of their form.
if (import.meta.main) await writeReadme(parseRun(await Deno.readTextFile(RESULTS_URL)));

export async function writeReadme(run: Run): Promise<void> {
  const text = await withMarked(await Deno.readTextFile(README_URL), "performance", performanceText(run));
  await Deno.writeTextFile(README_URL, text);
}

/** Gives what README.md says about a run: what was measured and where, the chart, and the tables. */
export function performanceText(run: Run): string {
  const { command, deno, machine, rounds } = run.setting;
  const main = WORKLOADS.filter(({ long }) => !long), more = WORKLOADS.filter(({ long }) => long);
  return [
    `![Messages per second beside the npm client](bench/chart.svg)`,
    `Measured by \`${command}\` with Deno ${deno} on ${machine}: medians of ${rounds} interleaved rounds, payloads of 64 bytes unless said.`,
    ...busiest(run, WORKLOADS),
    table(run, main),
    `<details><summary>More topics, sizes, windows and transports</summary>`,
    table(run, more),
    `</details>`,
  ].join("\n\n");
}
