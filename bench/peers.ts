import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type { Workload } from "./workloads.ts";

/** What is measured: a client, or raw bytes. */
export interface Peer {
  /** As `--clients` and the results call it. */
  id: string;
  name: string;
  /** A module that exports `connect`, see client.ts. */
  module: string;
  /** @default {4} */
  protocolVersion?: 4 | 5;
  /**
   * How many times the messages of a workload keep it busy for long enough.
   *
   * @default {1}
   */
  scale?: number;
  /** Whether it can do the workload. */
  applies(workload: Workload): boolean;
}

const OURS = { name: "@hbmqtt/client", module: "./ours.ts", applies: () => true };
const NPM_MQTT = { name: "npm mqtt", module: "./npm_mqtt.ts", scale: 0.1, applies: isPushed };

const PEERS: readonly Peer[] = [
  { id: "ours", ...OURS },
  { id: "ours5", ...OURS, name: "@hbmqtt/client, MQTT 5.0", protocolVersion: 5 },
  { id: "npm", ...NPM_MQTT },
  { id: "npm5", ...NPM_MQTT, name: "npm mqtt, MQTT 5.0", protocolVersion: 5 },
  { id: "raw", name: "raw bytes", module: "./raw.ts", scale: 4, applies: isRaw },
];

/** Gives the peers of a list like `ours,npm,raw,./my_client.ts`. */
export function peersOf(list: string): Peer[] {
  return list.split(",").map((id) => {
    const known = PEERS.find((peer) => peer.id === id);
    if (known !== undefined) return known;
    if (!id.includes("/")) {
      throw new TypeError(`Unknown client "${id}": take ${PEERS.map((peer) => peer.id).join(", ")} or a path`);
    }
    return { id, name: id, module: pathToFileURL(resolve(id)).href, scale: 0.1, applies: isPushed };
  });
}

/** Gives how many messages of a workload keep a peer busy for long enough. */
export function messagesFor(peer: Peer, { kind, n, size, qos, slow }: Workload, scale: number): number {
  if (kind === "connections" || kind === "cold start") return n;
  if (kind === "round trip") return Math.ceil(n * scale * (qos > 0 ? Math.min(1, 2 * (peer.scale ?? 1)) : 1));
  return Math.ceil(n * scale * (slow || size > 100_000 ? 1 : peer.scale ?? 1));
}

function isPushed({ delivery = "push" }: Workload): boolean {
  return delivery === "push";
}

function isRaw(workload: Workload): boolean {
  const { kind, qos, slow, mosquitto, topics, over } = workload;
  if (kind === "round trip" && qos === 2) return false;
  return isPushed(workload) && !slow && !mosquitto && topics === undefined &&
    !(kind === "connections" && over === "ws");
}
