/**
 * Measures this client beside the npm client and beside raw bytes, side by side in interleaved rounds.
 *
 *   deno task bench [--rounds=3] [--long] [--only=PATTERN] [--clients=ours,npm,raw] [--scale=1] [--seconds=60] [--json=FILE] [--svg=FILE] [--profile=FOLDER] [--readme]
 *
 * `--long` takes all workloads, `--only` those whose names match. Clients are also `ours5` and `npm5` (MQTT 5.0), and any path
 * of a module that exports `connect` as client.ts describes it. `--readme` runs all workloads and writes results.jsonl and chart.svg
 * beside this file, and README.md from them. A client that takes longer than `--seconds` for a workload has failed at it.
 * `--profile` writes the CPU profile of each process of a client into a folder.
 *
 * Ratios count; absolute figures differ from machine to machine and from run to run.
 */
import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { mosquittoAvailable, startMosquitto } from "../tests/helpers/mosquitto.ts";
import { chart } from "./chart.ts";
import { messagesFor, type Peer, peersOf } from "./peers.ts";
import { writeReadme } from "./readme.ts";
import type { Result, Run } from "./result.ts";
import { profileFlags, runScript } from "./script.ts";
import { makeTlsFiles, Server, type TlsFiles } from "./server.ts";
import { busiest, table } from "./table.ts";
import type { Measurement } from "./worker.ts";
import { type Workload, WORKLOADS } from "./workloads.ts";

const { values } = parseArgs({
  args: Deno.args,
  options: {
    rounds: { type: "string", default: "3" },
    long: { type: "boolean", default: false },
    only: { type: "string", default: "" },
    clients: { type: "string", default: "ours,npm,raw" },
    scale: { type: "string", default: "1" },
    seconds: { type: "string", default: "60" },
    json: { type: "string" },
    svg: { type: "string" },
    profile: { type: "string" },
    readme: { type: "boolean", default: false },
  },
});
const rounds = Number(values.rounds), scale = Number(values.scale), seconds = Number(values.seconds);
const beside = (file: string) => new URL(file, import.meta.url).pathname;
const json = values.readme ? beside("results.jsonl") : values.json;
const svg = values.readme ? beside("chart.svg") : values.svg;
const peers = peersOf(values.clients);
const chosen = WORKLOADS.filter(({ name, long, mosquitto }) =>
  (values.long || values.readme || values.only !== "" || !long) && new RegExp(values.only).test(name) &&
  (!mosquitto || mosquittoAvailable())
);

async function measure(peer: Peer, workload: Workload, round: number, tls: TlsFiles | undefined): Promise<Result> {
  const { name, kind, mosquitto, size, qos, window, topics, over } = workload;
  const n = messagesFor(peer, workload, scale);
  const mode = kind === "receive" ? "firehose" : kind === "round trip" ? "echo" : "sink";
  const broker = mosquitto ? await startMosquitto() : undefined;
  const server = mosquitto ? undefined : await Server.start(mode, { n, size, qos, window, topics, over, tls });
  let measured: Measurement, report, wallMs;
  try {
    const uri = server?.uri ?? broker?.uris.mqtt ?? "";
    const { module, protocolVersion = 4 } = peer;
    const started = performance.now();
    measured = await runScript(
      "./worker.ts",
      [module, String(protocolVersion), JSON.stringify({ ...workload, n }), uri, tls?.caFile ?? ""],
      seconds,
      values.profile === undefined ? [] : profileFlags(values.profile),
    );
    wallMs = performance.now() - started;
  } finally {
    report = await server?.stop();
    await broker?.[Symbol.asyncDispose]();
  }
  let { endMs } = measured;
  if (report !== undefined && kind === "publish") {
    if (report.pubs < n) throw new Error(`${n - report.pubs} of ${n} messages did not arrive`);
    endMs = Math.max(endMs, report.lastMs);
  } else if (report !== undefined && kind === "receive" && qos > 0) {
    if (report.done < n) throw new Error(`${n - report.done} of ${n} messages were not acknowledged to the end`);
    endMs = Math.max(endMs, report.ackMs);
  }
  const ms = kind === "cold start" ? wallMs : endMs - measured.startMs;
  const { cpuS, peakMiB, p50Us, p99Us, kibPerConnection } = measured;
  return {
    workload: name,
    client: peer.id,
    round,
    perSecond: n / ms * 1000,
    cpuUs: cpuS / n * 1e6,
    peakMiB,
    ms,
    serverBusy: (report?.cpuMs ?? 0) / ms,
    p50Us,
    p99Us,
    kibPerConnection,
  };
}

const encoder = new TextEncoder();

function progress(text: string): void {
  Deno.stderr.writeSync(encoder.encode(`\r\x1b[K${text}`));
}

/** Runs every workload with every peer that can do it, round after round; one that fails does not stop the others. */
async function runAll(run: Run, tls: TlsFiles | undefined): Promise<void> {
  const steps = chosen.flatMap((workload) =>
    peers.filter((peer) => peer.applies(workload)).map((peer) => ({ workload, peer }))
  );
  for (let round = 0; round < rounds; round++) {
    for (const [i, { workload, peer }] of steps.entries()) {
      progress(`round ${round + 1} of ${rounds}, ${i + 1} of ${steps.length}: ${workload.name}, ${peer.name}`);
      try {
        const result = await measure(peer, workload, round, tls);
        run.results.push(result);
        await writeLine(result);
      } catch (error) {
        const failure = error instanceof Error ? error.message : String(error);
        const failed = { workload: workload.name, client: peer.id, round, failure };
        run.failures.push(failed);
        await writeLine(failed);
        progress(`${peer.name} failed at "${workload.name}": ${failure}\n`);
      }
    }
  }
  progress("");
}

async function writeLine(line: unknown): Promise<void> {
  if (json !== undefined) await Deno.writeTextFile(json, `${JSON.stringify(line)}\n`, { append: true });
}

const processors = cpus();
const run: Run = {
  setting: {
    command: values.readme ? "deno task bench --readme" : ["deno task bench", ...Deno.args].join(" "),
    deno: Deno.version.deno,
    machine: `${processors[0]?.model ?? "unknown processor"}, ${processors.length} cores, ${Deno.build.os}`,
    rounds,
    clients: Object.fromEntries(peers.map(({ id, name }) => [id, name])),
  },
  results: [],
  failures: [],
};
if (json !== undefined) await Deno.writeTextFile(json, `${JSON.stringify(run.setting)}\n`);
const folder = await Deno.makeTempDir();
try {
  await runAll(run, chosen.some(({ over }) => over === "tls") ? await makeTlsFiles(folder) : undefined);
} finally {
  await Deno.remove(folder, { recursive: true });
}
console.log([table(run, chosen), ...busiest(run, chosen)].join("\n\n"));
if (svg !== undefined) {
  await Deno.writeTextFile(
    svg,
    chart(
      run,
      values.readme ? chosen.filter(({ long }) => !long) : chosen,
    ),
  );
}
if (values.readme) await writeReadme(run);
if (run.failures.length > 0) Deno.exitCode = 1;
