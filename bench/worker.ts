/** Runs one workload with one client, in a process of its own, and prints what it measured as a line of JSON. */
import process from "node:process";
import type { BenchClient, Connect, ConnectSettings } from "./client.ts";
import { TOPIC, topicOf } from "./publish_packet.ts";
import { connect as connectRaw, type RawClient } from "./raw.ts";
import type { Workload } from "./workloads.ts";

/** What a run gives, times in milliseconds since the epoch. */
export interface Measurement {
  startMs: number;
  endMs: number;
  /** CPU time of the whole process from start to end, in seconds. */
  cpuS: number;
  /** Peak resident memory, in MiB. */
  peakMiB: number;
  p50Us?: number;
  p99Us?: number;
  kibPerConnection?: number;
}

const now = () => performance.timeOrigin + performance.now();

function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

function memory(field: "VmHWM" | "VmRSS"): number {
  const status = Deno.readTextFileSync("/proc/self/status");
  return Number(new RegExp(`${field}:\\s+(\\d+)`).exec(status)?.[1] ?? 0) / 1024;
}

function isRaw(client: BenchClient): client is RawClient {
  return "publishAll" in client;
}

/** Publishes `n` messages, `outstanding` of them at a time. */
function publishAll(
  client: BenchClient,
  n: number,
  outstanding: number,
  { qos, size, topics = 1 }: Workload,
): Promise<void> {
  const payload = new Uint8Array(size).fill(120);
  const names = Array.from({ length: topics }, (_, i) => topicOf(i, topics));
  return new Promise((resolve, reject) => {
    let sent = 0, done = 0, filling = false;
    const settled = () => {
      if (++done === n) resolve();
      else if (!filling) fill();
    };
    const fill = () => {
      filling = true;
      while (sent < n && sent - done < outstanding) {
        client.publish(names[sent++ % topics], payload, qos).then(settled, reject);
      }
      filling = false;
    };
    fill();
  });
}

/** Receives `n` messages; `subscribed` is called when they may come. */
function receiveAll(
  client: BenchClient,
  n: number,
  { qos, slow }: Workload,
  subscribed: () => Promise<void> | undefined,
): Promise<void> {
  return new Promise((resolve, reject) => {
    let received = 0;
    client.subscribe("#", qos, (topic, payload) => {
      if (topic.length === 0 || payload.length === 0) reject(new Error("an empty message"));
      if (++received === n) resolve();
      if (slow && received % 1000 === 0) return new Promise((taken) => setTimeout(taken, 1));
    }).then(subscribed).catch(reject);
  });
}

/** Publishes what is to be received where the server does not do so by itself; bytes encoded beforehand cost little. */
async function publishRaw(uri: string, { n, size, qos, window = 1000 }: Workload): Promise<void> {
  const client = await connectRaw({ uri, caFile: undefined });
  await client.publishAll(n, size, qos, window);
  await client.end();
}

async function roundTrips(client: BenchClient, n: number, { qos, size }: Workload): Promise<Float64Array> {
  const payload = new Uint8Array(size).fill(120);
  const times = new Float64Array(n);
  let i = 0, sentAt = 0;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const send = () => {
    sentAt = performance.now();
    client.publish(TOPIC, payload, qos).catch(reject);
  };
  await client.subscribe(TOPIC, qos, () => {
    times[i++] = (performance.now() - sentAt) * 1000;
    if (i === n) resolve();
    else queueMicrotask(send);
  });
  send();
  await promise;
  return times.sort();
}

async function connectMany(connect: (i: number) => Promise<BenchClient>, n: number): Promise<BenchClient[]> {
  const clients: BenchClient[] = [];
  let next = 0;
  await Promise.all(Array.from({ length: 50 }, async () => {
    while (next < n) clients.push(await connect(next++));
  }));
  return clients;
}

async function run(
  connect: Connect,
  workload: Workload,
  { uri, caFile, protocolVersion }: Pick<ConnectSettings, "uri" | "caFile" | "protocolVersion">,
): Promise<Measurement> {
  const { kind, n, size, qos, window = 1000, delivery = "push" } = workload;
  const settings = (i: number) => ({ uri, clientId: `bench${i}`, caFile, delivery, window: 65535, protocolVersion });
  const result: Partial<Measurement> = {};
  const begin = () => {
    result.startMs = now();
    result.cpuS = cpuSeconds();
  };
  const end = () => {
    result.endMs ??= now();
    result.cpuS = cpuSeconds() - (result.cpuS ?? 0);
  };
  if (kind === "connections") {
    const before = memory("VmRSS");
    begin();
    const clients = await connectMany((i) => connect(settings(i)), n);
    end();
    result.kibPerConnection = (memory("VmRSS") - before) * 1024 / n;
    await Promise.all(clients.map((client) => client.end()));
  } else {
    const client = await connect(settings(0));
    begin();
    if (kind === "publish") {
      const outstanding = size > 100_000 ? 8 : window;
      if (isRaw(client)) await client.publishAll(n, size, qos, outstanding);
      else await publishAll(client, n, outstanding, workload);
      // Behind the others: when it is acknowledged, all have arrived.
      if (qos === 0) await client.publish("f", new Uint8Array([1]), 1);
    } else if (kind === "receive") {
      if (isRaw(client)) await client.receiveAll(n, qos);
      else await receiveAll(client, n, workload, () => workload.mosquitto ? publishRaw(uri, workload) : undefined);
      result.endMs = now();
      // The last acknowledgements are on their way.
      if (qos > 0) await new Promise((resolve) => setTimeout(resolve, 50));
    } else if (kind === "round trip") {
      const times = await roundTrips(client, n, workload);
      result.p50Us = times[n >> 1];
      result.p99Us = times[Math.floor(n * 0.99)];
    } else await client.publish("f", new Uint8Array([1]), 1);
    end();
    await client.end();
  }
  return { startMs: 0, endMs: 0, cpuS: 0, ...result, peakMiB: memory("VmHWM") };
}

const [module, protocolVersion, workload, uri, caFile] = Deno.args;
const { connect } = await import(module);
const settings = { uri, caFile: caFile || undefined, protocolVersion: Number(protocolVersion) as 4 | 5 };
console.log(JSON.stringify(await run(connect, JSON.parse(workload), settings)));
// The npm client leaves timers behind.
Deno.exit(0);
