import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { chart } from "../../bench/chart.ts";
import { medianOf, parseRun, type Result, type Run } from "../../bench/result.ts";
import { busiest, table } from "../../bench/table.ts";
import type { Workload } from "../../bench/workloads.ts";

const PUBLISH: Workload = { name: "publish", kind: "publish", n: 10, size: 64, qos: 0 };
const ROUND_TRIP: Workload = { name: "round trip", kind: "round trip", n: 10, size: 64, qos: 0 };

const result = (client: string, perSecond: number, more: Partial<Result> = {}): Result => ({
  workload: "publish",
  client,
  round: 0,
  perSecond,
  cpuUs: 2,
  peakMiB: 50,
  ms: 100,
  serverBusy: 0.25,
  ...more,
});

const run = (results: Result[], failures: Run["failures"] = []): Run => ({
  setting: {
    command: "deno task bench",
    deno: "2.0.0",
    machine: "a machine",
    rounds: 3,
    clients: { ours: "this", npm: "that", raw: "bytes" },
  },
  results,
  failures,
});

function cells(markdown: string): string[][] {
  return markdown.split("\n").map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim()));
}

Deno.test("table() shows medians over the rounds, and how many times faster the first client is", () => {
  const results = [100, 300, 5000].map((perSecond, round) => result("ours", perSecond, { round }));
  const [head, , row] = cells(table(run([...results, result("npm", 30), result("raw", 600)]), [PUBLISH]));
  assertEquals(head.slice(0, 7), ["Workload", "unit", "this", "that", "bytes", "times that", "of raw"]);
  assertEquals(row.slice(0, 7), ["publish", "messages/s", "300", "30", "600", "10.0", "50 %"]);
  assertEquals(row.at(-1), "25 %");
});

Deno.test("table() shows round trips by p50 and p99, of which less is better", () => {
  const trips = [["ours", 50], ["npm", 100], ["raw", 40]] as const;
  const results = trips.map(([client, p50Us]) =>
    result(client, 1, { workload: "round trip", p50Us, p99Us: 2 * p50Us })
  );
  const [, , p50, p99] = cells(table(run(results), [ROUND_TRIP]));
  assertEquals(p50.slice(0, 7), ["round trip", "us, p50", "50", "100", "40", "2.0", "80 %"]);
  assertEquals(p99.slice(0, 5), ["round trip, p99", "us", "100", "200", "80"]);
});

Deno.test("table() has a row where a client failed, this one too", () => {
  const failure = { workload: "publish", client: "ours", round: 0, failure: "not done in 60 s" };
  const [, , row] = cells(table(run([result("npm", 30)], [failure]), [PUBLISH]));
  assertEquals(row.slice(0, 7), ["publish", "messages/s", "failed", "30", "", "", ""]);
});

Deno.test("table() has no row for what was not measured", () => {
  assertEquals(cells(table(run([result("ours", 1)]), [PUBLISH, ROUND_TRIP])).length, 3);
});

Deno.test("busiest() names the workload in which the load server was the busiest", () => {
  const other = { ...PUBLISH, name: "receive", kind: "receive" } as const;
  const results = [result("ours", 1), result("ours", 1, { workload: "receive", serverBusy: 0.4 })];
  assertStringIncludes(busiest(run(results), [PUBLISH, other]).join(), "40 % of the time at the most (receive)");
  assertEquals(busiest(run([]), [PUBLISH]), []);
});

Deno.test("medianOf() is the mean of the middle two for an even number of rounds", () => {
  const results = [4, 1, 2, 100].map((perSecond) => result("ours", perSecond));
  assertEquals(medianOf(run(results), "publish", "ours", ({ perSecond }) => perSecond), 3);
  assertEquals(medianOf(run(results), "publish", "ours", ({ p50Us }) => p50Us), undefined);
});

Deno.test("parseRun() gives what a run has written", () => {
  const failure = { workload: "publish", client: "npm", round: 1, failure: "ended with an error" };
  const whole = run([result("ours", 1), result("raw", 2)], [failure]);
  const lines = [whole.setting, result("ours", 1), failure, result("raw", 2)].map((line) => JSON.stringify(line));
  assertEquals(parseRun(`${lines.join("\n")}\n`), whole);
});

Deno.test("chart() draws bars in multiples of the npm client", () => {
  const svg = chart(run([result("ours", 300), result("npm", 30), result("raw", 600)]), [PUBLISH, ROUND_TRIP]);
  assertMatch(svg, /^<svg .*<\/svg>\n$/);
  const widths = [...svg.matchAll(/<rect [^>]*width="([\d.]+)"/g)].map(([, width]) => Number(width));
  assertEquals(widths, [440, 44]);
  assertStringIncludes(svg, ">10.0</text>");
});
