import type { Delivery } from "./client.ts";

/** What is measured. */
export interface Workload {
  name: string;
  kind: "publish" | "receive" | "round trip" | "connections" | "cold start";
  /** How many messages, or connections. */
  n: number;
  /** Of the payload, in bytes. */
  size: number;
  qos: 0 | 1 | 2;
  /** How many topics in turn. @default {1} */
  topics?: number;
  /** How many publishes are outstanding, or unacknowledged by the receiver. @default {1000} */
  window?: number;
  /** @default {"push"} */
  delivery?: Delivery;
  /** @default {"tcp"} */
  over?: "tcp" | "tls" | "ws";
  /** A handler that holds the sender up. */
  slow?: boolean;
  /** Against Mosquitto in the place of the load server. */
  mosquitto?: boolean;
  /** Not part of the short run. */
  long?: boolean;
}

const MIB = 1024 * 1024;
const QOS = [0, 1, 2] as const;

/** How many messages keep a fast client busy for about a third of a second. */
const MANY = { publish: [2_000_000, 500_000, 400_000], receive: [2_000_000, 800_000, 600_000] };

function flows(kind: "publish" | "receive", suffix: string, more: Partial<Workload>, scale = 1): Workload[] {
  return QOS.map((qos) => ({
    name: `${kind} QoS ${qos}${suffix}`,
    kind,
    n: Math.round(MANY[kind][qos] * scale),
    size: 64,
    qos,
    ...more,
  }));
}

function roundTrip(qos: 0 | 1, suffix = "", more: Partial<Workload> = {}): Workload {
  return { name: `round trip QoS ${qos}${suffix}`, kind: "round trip", n: 5000, size: 64, qos, ...more };
}

function large(kind: "publish" | "receive", suffix = "", more: Partial<Workload> = {}): Workload {
  return { name: `${kind} 1 MiB${suffix}`, kind, n: 600, size: MIB, qos: 0, ...more };
}

/** Deno's WebSocket sets no TCP_NODELAY: acknowledgements may wait for 40 ms, with any client. */
function shorter(workload: Workload): Workload {
  return workload.over === "ws" && workload.qos > 0 ? { ...workload, n: workload.n / 5 } : workload;
}

export const WORKLOADS: readonly Workload[] = [
  ...flows("publish", "", {}),
  ...flows("receive", "", {}),
  ...(["iterate", "pull"] as const).flatMap((delivery) => {
    const [qos0, ...others] = flows("receive", `, ${delivery}`, { delivery });
    return [qos0, ...others.map((workload) => ({ ...workload, long: true }))];
  }),
  roundTrip(0),
  roundTrip(1),
  large("publish"),
  large("receive"),
  { name: "slow consumer", kind: "receive", n: 500_000, size: 1024, qos: 0, slow: true },
  { name: "500 connections", kind: "connections", n: 500, size: 64, qos: 0 },
  { name: "cold start", kind: "cold start", n: 1, size: 1, qos: 1 },
  ...(["publish", "receive"] as const).flatMap((kind) => [
    ...flows(kind, ", 1,000 topics", { topics: 1000, long: true }, 0.5),
    ...flows(kind, ", 1 KiB", { size: 1024, long: true }, 0.3),
    ...flows(kind, ", window 20", { window: 20, long: true }, 0.1).slice(1),
    ...flows(kind, ", window 65,535", { window: 65_535, long: true }).slice(1),
  ]),
  ...(["tls", "ws"] as const).flatMap((over) => {
    const suffix = ` over ${over === "tls" ? "TLS" : "WebSocket"}`, more = { over, long: true };
    return [
      ...flows("publish", suffix, more, 0.5).map(shorter),
      ...flows("receive", suffix, more, 0.5).map(shorter),
      roundTrip(0, suffix, more),
      large("publish", suffix, more),
      large("receive", suffix, more),
    ];
  }),
  ...flows("publish", " to Mosquitto", { mosquitto: true, long: true }, 0.1),
  ...flows("receive", " from Mosquitto", { mosquitto: true, long: true }, 0.1),
  { name: "round trip QoS 1 by Mosquitto", kind: "round trip", n: 2000, size: 64, qos: 1, mosquitto: true, long: true },
];
