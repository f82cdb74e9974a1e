import type { Mode } from "./load_server.ts";
import type { ServerOptions } from "./server.ts";

/** What the worker does for a row. */
export type Task =
  | { kind: "publish"; qos: 0 | 1; n: number; size: number; window: number; held: number; clients: number }
  | { kind: "receive"; n: number; size: number }
  | { kind: "filters"; n: number; filters: number; topics: number; part: "first" | "rest" }
  | { kind: "inbox"; route: boolean; taken: boolean; n: number; size: number }
  | { kind: "offline"; size: number }
  | { kind: "in flight"; size: number }
  | { kind: "write buffer"; size: number }
  | { kind: "announced" };

interface Row {
  group: string;
  label: string;
  server?: ServerOptions & { mode: Mode };
  task: Task;
}

/** A row of what a message costs; `size` is given where the cost for each MiB is of interest. */
export interface Cost extends Row {
  size?: number;
}

/** A row of what a queue takes at its bound. */
export type Bound = Row;

const KIB = 1024, MIB = 1024 * KIB;

/** A label, the size in bytes, and how many messages of it keep the client busy for long enough. */
const SIZES = [["10 B", 10, 1_000_000], ["1 KiB", KIB, 300_000], ["64 KiB", 64 * KIB, 10_000], ["1 MiB", MIB, 600], [
  "64 MiB",
  64 * MIB,
  12,
]] as const;

function count(n: number): string {
  return n.toLocaleString("en");
}

function publish(group: string, label: string, task: Partial<Extract<Task, { kind: "publish" }>>): Cost {
  const whole = { qos: 1, n: 1_000_000, size: 64, window: 1000, held: 0, clients: 1, ...task } as const;
  return { group, label, server: { mode: "sink", hold: whole.held }, task: { kind: "publish", ...whole } };
}

/** Measures the first message of each topic, or all others. */
function filters(label: string, filters: number, topics: number, part: "first" | "rest"): Cost {
  const n = topics + (part === "first" ? 1 : Math.max(500_000, 20 * topics));
  return {
    group: "receive QoS 0 by messages(filter)",
    label,
    server: { mode: "firehose", n, topics },
    task: { kind: "filters", n, filters, topics, part },
  };
}

export const COSTS: readonly Cost[] = [
  ...[1000, 60_000].map((window) => publish("publish QoS 1, so many at a time", count(window), { window })),
  publish("publish QoS 1, so many at a time", "1: a round trip for each", { window: 1, n: 20_000 }),
  ...[0, 1000, 60_000].map((held) =>
    publish("publish QoS 1, 1,000 at a time, beside so many that stay in flight", count(held), { held })
  ),
  filters("1 filter, 1 topic", 1, 1, "rest"),
  filters("1 filter, 10,000 topics", 1, 10_000, "rest"),
  filters("10,000 filters, a topic for each", 10_000, 10_000, "rest"),
  filters("10,000 filters, every topic for the first time", 10_000, 10_000, "first"),
  ...[1, 5000].map((clients) =>
    publish("publish QoS 1 from clients in one process, 10 of them and 100 each at a time", count(clients), {
      clients,
      window: 100,
    })
  ),
  ...SIZES.map(([label, size, n]) => ({
    ...publish("publish QoS 0, payload", label, { qos: 0, n, size, window: size >= MIB ? 2 : 1000 }),
    size,
  })),
  ...SIZES.map(([label, size, n]): Cost => ({
    group: "receive QoS 0, payload",
    label,
    size,
    server: { mode: "firehose", n, size },
    task: { kind: "receive", n, size },
  })),
];

function inbox(label: string, n: number, size: number, more: Partial<Extract<Task, { kind: "inbox" }>>): Bound {
  return {
    group: "received, not taken",
    label,
    server: { mode: "firehose", n, size },
    task: { kind: "inbox", n, size, route: false, taken: false, ...more },
  };
}

const WEBSOCKET = inbox("nothing: WebSocket, 1 KiB each, the connection is given up", 400_000, KIB, {});

export const BOUNDS: readonly Bound[] = [
  inbox("for comparison: 1 KiB each, all taken at once", 400_000, KIB, { taken: true }),
  inbox("max_queued_messages 1,000, 1 KiB each", 400_000, KIB, {}),
  inbox("max_queued_messages 1,000, 64 KiB each", 10_000, 64 * KIB, {}),
  inbox("messages(filter, { limit: 1,000 }), 1 KiB each", 400_000, KIB, { route: true }),
  { ...WEBSOCKET, server: { mode: "firehose", n: 400_000, size: KIB, over: "ws" } },
  {
    group: "published while the link is down",
    label: "max_queued_publishes 10,000, 64 B each",
    task: { kind: "offline", size: 64 },
  },
  {
    group: "published while the link is down",
    label: "max_queued_bytes 64 MiB, 64 KiB each",
    task: { kind: "offline", size: 64 * KIB },
  },
  {
    group: "in flight",
    label: "max_inflight 65,535, 64 B each",
    server: { mode: "sink", hold: 1_000_000 },
    task: { kind: "in flight", size: 64 },
  },
  {
    group: "encoded, not written",
    label: "192 KiB, QoS 0 256 KiB more, 1 KiB each, the peer does not read",
    server: { mode: "mute" },
    task: { kind: "write buffer", size: KIB },
  },
  {
    group: "read, not decoded",
    label: "a packet of 256 MiB announced, nothing of it sent",
    server: { mode: "announce" },
    task: { kind: "announced" },
  },
];
