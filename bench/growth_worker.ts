/** Measures one row of growth.ts, in a process of its own, and prints a line of JSON. */
import process from "node:process";
import { type ApplicationMessage, type ClientConfig, MQTTClient } from "../mod.ts";
import type { Task } from "./growth_rows.ts";
import { TOPIC, topicOf } from "./publish_packet.ts";

/** What a message costs. */
export interface CostMeasurement {
  wallUs: number;
  /** CPU time of the whole process, in microseconds. */
  cpuUs: number;
  peakMiB: number;
}

/** What a queue takes. */
export interface BoundMeasurement {
  held: number;
  /** The payloads of these messages together. */
  heldMiB: number;
  /** How much more memory was resident than before, at the peak. */
  grownMiB: number;
}

const MIB = 1024 * 1024;

/** So many clients of a process publish at a time: many messages under way have a cost of their own. */
const AT_ONCE = 10;

/** What has not changed for this long is at its bound, in milliseconds. */
const QUIET = 500;

function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

function memory(field: "VmHWM" | "VmRSS"): number {
  const status = Deno.readTextFileSync("/proc/self/status");
  return Number(new RegExp(`${field}:\\s+(\\d+)`).exec(status)?.[1] ?? 0) / 1024;
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Begins to measure; what it gives ends it. */
function meter(): (n: number) => CostMeasurement {
  const started = performance.now(), cpu = cpuSeconds();
  return (n) => ({
    wallUs: (performance.now() - started) / n * 1000,
    cpuUs: (cpuSeconds() - cpu) / n * 1e6,
    peakMiB: memory("VmHWM"),
  });
}

async function connect(uri: string, config: ClientConfig = {}): Promise<MQTTClient> {
  const client = new MQTTClient({ config: { keep_alive: 0, auto_reconnect: false, ...config } });
  await client.connect(uri);
  return client;
}

/** Publishes `n` messages, `window` of them at a time. */
function publishAll(client: MQTTClient, n: number, window: number, payload: Uint8Array, qos: 0 | 1): Promise<void> {
  return new Promise((resolve, reject) => {
    let sent = 0, done = 0, filling = false;
    const settled = () => {
      if (++done === n) resolve();
      else if (!filling) fill();
    };
    const fill = () => {
      filling = true;
      while (sent < n && sent - done < window) {
        sent++;
        client.publish(TOPIC, payload, { qos }).then(settled, reject);
      }
      filling = false;
    };
    fill();
  });
}

async function publish(uri: string, task: Extract<Task, { kind: "publish" }>): Promise<CostMeasurement> {
  const { n, size, qos, window, held, clients } = task;
  const payload = new Uint8Array(size).fill(120);
  const all: MQTTClient[] = [];
  while (all.length < clients) {
    all.push(...await Promise.all(Array.from({ length: Math.min(50, clients - all.length) }, () => connect(uri))));
  }
  for (let i = 0; i < held; i++) all[0].publish(TOPIC, payload, { qos });
  const end = meter();
  const waiting = [...all];
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    for (let client = waiting.pop(); client !== undefined; client = waiting.pop()) {
      await publishAll(client, n / clients, window, payload, qos);
    }
  }));
  return end(n);
}

async function receive(uri: string, { n }: Extract<Task, { kind: "receive" }>): Promise<CostMeasurement> {
  const client = await connect(uri);
  const end = meter();
  const { promise, resolve } = Promise.withResolvers<void>();
  let received = 0;
  client.onmessage = () => {
    if (++received === n) resolve();
  };
  await client.subscribe(TOPIC);
  await promise;
  return end(n);
}

/** Every filter has an iterator; measures the first message of each topic, or all others. */
async function receiveByFilters(uri: string, task: Extract<Task, { kind: "filters" }>): Promise<CostMeasurement> {
  const { n, topics, part } = task;
  const client = await connect(uri);
  const filters = task.filters === 1 ? ["#"] : Array.from({ length: task.filters }, (_, i) => topicOf(i, topics));
  const { promise, resolve } = Promise.withResolvers<CostMeasurement>();
  const first = part === "first" ? 1 : topics + 1;
  let received = 0, end: ReturnType<typeof meter>;
  const count = () => {
    received++;
    if (received === first) end = meter();
    if (received === n) resolve(end(n - first));
  };
  for (const filter of filters) {
    const messages = client.messages(filter);
    (async () => {
      for await (const _ of messages) count();
    })();
  }
  await client.subscribe(filters.map((filter) => ({ filter })));
  return await promise;
}

/** Begins to measure memory; what it gives ends it. */
function memoryMeter(): (held: number, size: number) => BoundMeasurement {
  // 5: the peak begins anew.
  Deno.writeTextFileSync("/proc/self/clear_refs", "5");
  const before = memory("VmRSS");
  return (held, size) => ({ held, heldMiB: held * size / MIB, grownMiB: memory("VmHWM") - before });
}

/** Waits until a figure has ceased to change. */
async function settled(figure: () => number): Promise<number> {
  for (let last = -1; last !== figure();) {
    last = figure();
    await sleep(QUIET);
  }
  return figure();
}

async function inbox(uri: string, task: Extract<Task, { kind: "inbox" }>): Promise<BoundMeasurement> {
  const { route, taken, n, size } = task;
  const client = await connect(uri);
  const { promise, resolve } = Promise.withResolvers<void>();
  let received = 0;
  const take = ({ payload }: ApplicationMessage) => {
    if (payload.length === size && ++received === n) resolve();
  };
  if (taken) client.onmessage = take;
  if (route) client.messages("#", { limit: 1000 });
  const end = memoryMeter();
  await client.subscribe("#");
  if (taken) await promise;
  else await settled(() => client.stats.bytesReceived);
  return end(client.stats.queuedMessages, size);
}

/** Accepts one connection, and no more once it is gone. */
async function publishOffline(size: number): Promise<BoundMeasurement> {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const accepted = listener.accept();
  const client = new MQTTClient({ config: { keep_alive: 0, reconnect_retries: -1 } });
  const connecting = client.connect(`mqtt://127.0.0.1:${listener.addr.port}`);
  const conn = await accepted;
  await conn.write(Uint8Array.of(0x20, 2, 0, 0));
  await connecting;
  const lost = new Promise((resolve) => client.addEventListener("disconnect", resolve, { once: true }));
  listener.close();
  conn.close();
  await lost;
  const end = memoryMeter();
  let full = false;
  while (!full) {
    client.publish(TOPIC, new Uint8Array(size).fill(120), { qos: 1 }).catch(() => full = true);
    await Promise.resolve();
  }
  await settled(() => client.stats.queuedPublishes);
  return end(client.stats.queuedPublishes, size);
}

async function publishUnacknowledged(uri: string, size: number): Promise<BoundMeasurement> {
  const client = await connect(uri);
  const end = memoryMeter();
  for (let i = 0; i < 65_535; i++) client.publish(TOPIC, new Uint8Array(size).fill(120), { qos: 1 });
  await settled(() => client.stats.inFlight);
  return end(client.stats.inFlight, size);
}

/** Publishes until a promise stays pending, since the peer reads nothing. */
async function publishUnread(uri: string, size: number): Promise<BoundMeasurement> {
  const client = await connect(uri);
  const end = memoryMeter();
  await client.subscribe("#");
  let handedOver = 0;
  (async () => {
    for (;;) {
      await client.publish(TOPIC, new Uint8Array(size).fill(120), { qos: 0 });
      handedOver++;
    }
  })().catch(() => {});
  const held = await settled(() => handedOver);
  return end(held, size);
}

async function receiveAnnouncement(uri: string): Promise<BoundMeasurement> {
  const client = await connect(uri);
  const end = memoryMeter();
  await client.subscribe("#");
  await sleep(QUIET);
  return end(0, 0);
}

function run(task: Task, uri: string): Promise<CostMeasurement | BoundMeasurement> {
  switch (task.kind) {
    case "publish":
      return publish(uri, task);
    case "receive":
      return receive(uri, task);
    case "filters":
      return receiveByFilters(uri, task);
    case "inbox":
      return inbox(uri, task);
    case "offline":
      return publishOffline(task.size);
    case "in flight":
      return publishUnacknowledged(uri, task.size);
    case "write buffer":
      return publishUnread(uri, task.size);
    case "announced":
      return receiveAnnouncement(uri);
  }
}

const [task, uri] = Deno.args;
console.log(JSON.stringify(await run(JSON.parse(task), uri)));
Deno.exit(0);
