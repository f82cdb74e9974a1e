/**
 * Measures this client beside the npm client and beside raw bytes, side by side in interleaved rounds.
 *
 *   deno task bench [--rounds=3] [--long] [--only=PATTERN] [--clients=ours,npm,raw] [--scale=1] [--json=FILE] [--svg=FILE]
 *
 * Ratios count; absolute figures differ from machine to machine and from run to run.
 */
import { parseArgs } from "node:util";
import { stdImportMap } from "../tools/std.ts";
import { makeCertificates } from "../tests/helpers/certificates.ts";
import { mosquittoAvailable, startMosquitto } from "../tests/helpers/mosquitto.ts";
import { chart } from "./chart.ts";
import type { Measurement } from "./worker.ts";
import { type Workload, WORKLOADS } from "./workloads.ts";

const CLIENTS = { ours: "./ours.ts", npm: "./npm_mqtt.ts", raw: "./raw.ts" };
type ClientName = keyof typeof CLIENTS;
const NAMES: Readonly<Record<ClientName, string>> = { ours: "@hbmqtt/client", npm: "npm mqtt", raw: "raw bytes" };

/** What the npm client is given less of, since it takes longer. */
const NPM_SCALE = 0.1;

/** One line of the results. */
export interface Result {
  workload: string;
  client: ClientName;
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

const encoder = new TextEncoder();
const progress = (text: string) => Deno.stderr.writeSync(encoder.encode(`\r\x1b[K${text}`));

/** Does what the client is able to do. */
function applies(
  client: ClientName,
  { kind, qos, over, delivery = "push", slow, mosquitto, topics, window }: Workload,
): boolean {
  if (client === "npm") return delivery === "push";
  if (client === "ours") return true;
  return delivery === "push" && over === undefined && !slow && !mosquitto && topics === undefined &&
    window === undefined &&
    (qos === 0 || kind === "cold start");
}

function permissions(file: string): string[] {
  return ["run", "-A", "--quiet", "--no-check", `--import-map=${importMap}`, new URL(file, import.meta.url).pathname];
}

async function importMapFile(): Promise<string> {
  const map = await stdImportMap();
  return map ?? new URL("../deno.json", import.meta.url).pathname;
}

async function startServer(workload: Workload, n: number, certificates: { folder: string } | undefined) {
  const { kind, size, qos, window = 1000, topics = 1, over } = workload;
  const mode = kind === "receive" ? "firehose" : kind === "round trip" ? "echo" : "sink";
  const process = new Deno.Command(Deno.execPath(), {
    args: [
      ...permissions("./load_server.ts"),
      mode,
      `--n=${n}`,
      `--size=${size}`,
      `--qos=${qos}`,
      `--window=${window}`,
      `--topics=${topics}`,
      ...(over === "tls" && certificates ? [`--tls=${certificates.folder}`] : []),
      ...(over === "ws" ? ["--ws"] : []),
    ],
    stdout: "piped",
  }).spawn();
  const reader = process.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  while (!text.includes("\n")) {
    const { value, done } = await reader.read();
    if (done) throw new Error("the load server did not start");
    text += value;
  }
  const { listening } = JSON.parse(text.split("\n")[0]);
  const scheme = over === "tls" ? "mqtts" : over === "ws" ? "ws" : "mqtt";
  return {
    uri: `${scheme}://127.0.0.1:${listening}`,
    /** Ends the server, and gives what it has counted for the busiest client. */
    async stop(): Promise<{ pubs: number; done: number; lastMs: number; ackMs: number; cpuMs: number }> {
      const deadline = setTimeout(() => process.kill(), 2000);
      let tail = text.slice(text.indexOf("\n") + 1);
      while (!tail.includes("\n")) {
        const { value, done } = await reader.read();
        if (done) break;
        tail += value;
      }
      clearTimeout(deadline);
      try {
        process.kill();
      } catch {
        // It was killed for want of a report.
      }
      await reader.cancel();
      await process.status;
      const reports = tail.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line));
      return reports.sort((a, b) => b.pubs + b.sent - a.pubs - a.sent)[0] ??
        { pubs: 0, done: 0, lastMs: 0, ackMs: 0, cpuMs: 0 };
    },
  };
}

async function measure(client: ClientName, workload: Workload, round: number): Promise<Result> {
  const n = workload.kind === "connections" || workload.kind === "cold start" ? workload.n : Math.ceil(
    workload.n * scale * (client === "npm" && workload.size < 100_000 && !workload.slow ? NPM_SCALE : 1) *
      (client === "npm" && workload.kind === "round trip" && workload.qos > 0 ? 0.2 : 1),
  );
  const broker = workload.mosquitto ? await startMosquitto() : undefined;
  const server = broker === undefined ? await startServer(workload, n, tls) : undefined;
  const uri = server?.uri ?? broker?.uris.mqtt ?? "";
  const started = performance.now();
  const { success, stdout } = await new Deno.Command(Deno.execPath(), {
    args: [...permissions("./worker.ts"), CLIENTS[client], JSON.stringify({ ...workload, n }), uri, tls?.caFile ?? ""],
    stderr: "inherit",
  }).output();
  const wallMs = performance.now() - started;
  const report = await server?.stop();
  await broker?.[Symbol.asyncDispose]();
  if (!success) throw new Error(`${NAMES[client]} failed at "${workload.name}"`);
  const measured: Measurement = JSON.parse(new TextDecoder().decode(stdout).trim().split("\n").at(-1) ?? "");
  let endMs = measured.endMs;
  if (report !== undefined && workload.kind === "publish") {
    if (report.pubs < n) {
      throw new Error(`${NAMES[client]} lost messages at "${workload.name}": ${report.pubs} of ${n}`);
    }
    endMs = Math.max(endMs, report.lastMs);
  } else if (report !== undefined && workload.kind === "receive" && workload.qos > 0) {
    if (report.done < n) throw new Error(`${NAMES[client]} completed ${report.done} of ${n} at "${workload.name}"`);
    endMs = Math.max(endMs, report.ackMs);
  }
  const ms = workload.kind === "cold start" ? wallMs : endMs - measured.startMs;
  return {
    workload: workload.name,
    client,
    round,
    perSecond: n / ms * 1000,
    cpuUs: measured.cpuS / n * 1e6,
    peakMiB: measured.peakMiB,
    ms,
    serverBusy: (report?.cpuMs ?? 0) / wallMs,
    p50Us: measured.p50Us,
    p99Us: measured.p99Us,
    kibPerConnection: measured.kibPerConnection,
  };
}

function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

function format(value: number): string {
  if (value >= 1e6) return `${(value / 1e6).toFixed(2)}M`;
  if (value >= 1e4) return `${(value / 1e3).toFixed(0)}k`;
  return value.toFixed(value < 10 ? 2 : 0);
}

/** What of the results a workload is about. */
export function figure({ kind }: Workload): { of: (result: Result) => number; unit: string; lessIsBetter: boolean } {
  if (kind === "round trip") return { of: (result) => result.p50Us ?? 0, unit: "us, p50", lessIsBetter: true };
  if (kind === "connections" || kind === "cold start") {
    return { of: (result) => result.ms, unit: "ms", lessIsBetter: true };
  }
  return { of: (result) => result.perSecond, unit: "messages/s", lessIsBetter: false };
}

/** Makes the table of medians and ratios, in Markdown. */
export function table(results: readonly Result[], workloads: readonly Workload[]): string {
  const head =
    "| Workload | unit | @hbmqtt/client | npm mqtt | raw bytes | times npm | of raw | CPU us, ours / npm | peak MiB, ours / npm | server busy |";
  const rows = workloads.flatMap((workload) => {
    const { of, unit, lessIsBetter } = figure(workload);
    const all = (client: ClientName) =>
      results.filter((result) => result.workload === workload.name && result.client === client);
    const mid = (client: ClientName, value: (result: Result) => number) =>
      all(client).length > 0 ? median(all(client).map(value)) : undefined;
    const [ours, npm, raw] = (["ours", "npm", "raw"] as const).map((client) => mid(client, of));
    if (ours === undefined) return [];
    const ratio = (other: number | undefined) =>
      other === undefined ? "" : (lessIsBetter ? other / ours : ours / other);
    const show = (value: number | undefined) => value === undefined ? "" : format(value);
    const pair = (value: (result: Result) => number) => `${show(mid("ours", value))} / ${show(mid("npm", value))}`;
    const times = ratio(npm), ofRaw = ratio(raw);
    const busy = mid("ours", (result) => result.serverBusy) ?? 0;
    return [
      `| ${workload.name} | ${unit} | ${show(ours)} | ${show(npm)} | ${show(raw)} | ` +
      `${times === "" ? "" : times.toFixed(1)} | ${ofRaw === "" ? "" : `${(ofRaw * 100).toFixed(0)} %`} | ` +
      `${pair((result) => result.cpuUs)} | ${pair((result) => result.peakMiB)} | ${(busy * 100).toFixed(0)} % |`,
    ];
  });
  return [head, head.replace(/[^|]+/g, " --- "), ...rows].join("\n");
}

const { values } = parseArgs({
  args: Deno.args,
  options: {
    rounds: { type: "string", default: "3" },
    long: { type: "boolean", default: false },
    only: { type: "string", default: "" },
    clients: { type: "string", default: "ours,npm,raw" },
    scale: { type: "string", default: "1" },
    json: { type: "string" },
    svg: { type: "string" },
  },
});
const scale = Number(values.scale);
const importMap = await importMapFile();
const chosen = WORKLOADS.filter(({ name, long, mosquitto }) =>
  (values.long || values.only !== "" || !long) && new RegExp(values.only).test(name) &&
  (!mosquitto || mosquittoAvailable())
);
const clients = values.clients.split(",") as ClientName[];
const folder = await Deno.makeTempDir();
const tls = chosen.some(({ over }) => over === "tls") ? await tlsFiles() : undefined;

async function tlsFiles(): Promise<{ folder: string; caFile: string }> {
  const { ca, server } = await makeCertificates(folder);
  await Deno.copyFile(server.certificate, `${folder}/cert.pem`);
  await Deno.copyFile(server.key, `${folder}/key.pem`);
  return { folder, caFile: ca };
}

const results: Result[] = [];
const rounds = Number(values.rounds);
for (let round = 0; round < rounds; round++) {
  for (const workload of chosen) {
    for (const client of clients) {
      if (!applies(client, workload)) continue;
      progress(`round ${round + 1} of ${rounds}: ${workload.name}, ${NAMES[client]}`);
      try {
        const result = await measure(client, workload, round);
        results.push(result);
        if (values.json !== undefined) {
          await Deno.writeTextFile(values.json, JSON.stringify(result) + "\n", { append: true });
        }
      } catch (error) {
        progress("");
        console.error(error instanceof Error ? error.message : error);
      }
    }
  }
}
progress("");
await Deno.remove(folder, { recursive: true });
console.log(table(results, chosen));
if (values.svg !== undefined) await Deno.writeTextFile(values.svg, chart(results, chosen));
