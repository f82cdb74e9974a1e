import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { performanceText } from "../../bench/readme.ts";
import { WORKLOADS } from "../../bench/workloads.ts";
import { withMarked } from "../../tools/marked.ts";

Deno.test("withMarked() replaces what is between the markers, and nothing else", async () => {
  const text = "a\n\n<!-- x:begin -->\nold\n<!-- x:end -->\n\nb\n";
  const changed = "a\n\n<!-- x:begin -->\n\nnew\n\n<!-- x:end -->\n\nb\n";
  assertEquals(await withMarked(text, "x", "new"), changed);
  assertEquals(await withMarked(changed, "x", "new"), changed);
  await assertRejects(() => withMarked(text, "y", "new"), Error, "<!-- y:begin -->");
});

Deno.test("performanceText() says what was measured, with what and where, and fits into README.md", async () => {
  const [{ name }] = WORKLOADS;
  const round = { workload: name, round: 0, cpuUs: 1, peakMiB: 1, ms: 1, serverBusy: 0.1 };
  const text = performanceText({
    setting: { command: "deno task x", deno: "2.0.0", machine: "a machine", rounds: 3, clients: { ours: "this" } },
    results: [{ ...round, client: "ours", perSecond: 123 }],
    failures: [],
  });
  assertStringIncludes(text, "`deno task x` with Deno 2.0.0 on a machine: medians of 3 interleaved rounds");
  assertStringIncludes(text, `| ${name} | messages/s | 123 |`);
  const readme = await Deno.readTextFile(new URL("../../README.md", import.meta.url));
  assertStringIncludes(await withMarked(readme, "performance", text), "(bench/chart.svg)");
});
