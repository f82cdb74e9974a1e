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

export const WORKLOADS: readonly Workload[] = [
  ...flows("publish", "", {}),
  ...flows("receive", "", {}),
  ...(["iterate", "pull"] as const).map((delivery): Workload => ({
    name: `receive QoS 0, ${delivery}`,
    kind: "receive",
    n: MANY.receive[0],
    size: 64,
    qos: 0,
    delivery,
  })),
  { name: "round trip QoS 0", kind: "round trip", n: 5000, size: 64, qos: 0 },
  { name: "round trip QoS 1", kind: "round trip", n: 5000, size: 64, qos: 1 },
  { name: "publish 1 MiB", kind: "publish", n: 600, size: MIB, qos: 0 },
  { name: "receive 1 MiB", kind: "receive", n: 600, size: MIB, qos: 0 },
  { name: "slow consumer", kind: "receive", n: 500_000, size: 1024, qos: 0, slow: true },
  { name: "500 connections", kind: "connections", n: 500, size: 64, qos: 0 },
  { name: "cold start", kind: "cold start", n: 1, size: 1, qos: 1 },
  ...flows("publish", ", 1,000 topics", { topics: 1000, long: true }, 0.5),
  ...flows("receive", ", 1,000 topics", { topics: 1000, long: true }, 0.5),
  ...flows("publish", ", 1 KiB", { size: 1024, long: true }, 0.3),
  ...flows("receive", ", 1 KiB", { size: 1024, long: true }, 0.3),
  ...flows("publish", ", window 20", { window: 20, long: true }, 0.1).slice(1),
  ...flows("publish", ", window 65,535", { window: 65_535, long: true }).slice(1),
  ...(["tls", "ws"] as const).flatMap((over) => [
    ...flows("publish", ` over ${over}`, { over, long: true }, 0.5),
    ...flows("receive", ` over ${over}`, { over, long: true }, 0.5),
  ]),
  ...flows("publish", " to Mosquitto", { mosquitto: true, long: true }, 0.1),
];
