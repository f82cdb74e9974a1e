import { assert, assertEquals } from "@std/assert";
import type { ApplicationMessage } from "../../src/message.ts";
import { Encoder } from "../../src/codec/encoder.ts";
import { MQTT_5_0 } from "../../src/codec/mqtt_5_0.ts";
import type {
  AuthPacket,
  ConnackPacket,
  ConnectPacket,
  Packet,
  PublishPacket,
  QoS,
  SubscriptionRequest,
} from "../../src/packets.ts";
import { NO_PROPERTIES, type Properties } from "../../src/properties.ts";
import type { Effects } from "../../src/session/effects.ts";
import { type Flow, PublishFlow } from "../../src/session/flow.ts";
import {
  type CancellableFlow,
  type ProtocolFeatures,
  Session,
  type SessionOptions,
} from "../../src/session/session.ts";

const OPTIONS: SessionOptions = {
  maxInflight: 65_535,
  maxQueuedPublishes: 10_000,
  maxQueuedBytes: 64 * 1024 * 1024,
  queueFull: "reject",
  queueQos0: true,
  maxPublishAttempts: 10,
  topicAliases: true,
  manualAck: false,
  resubscribe: true,
  pingDelay: 1,
  pingTimeout: 10,
};

export const CONNECT: ConnectPacket = {
  type: "CONNECT",
  protocolVersion: 4,
  clientId: "test",
  cleanStart: false,
  keepAlive: 10,
  username: undefined,
  password: undefined,
  will: undefined,
  properties: NO_PROPERTIES,
};

interface Connecting5 {
  sessionPresent?: boolean;
  connect?: Properties;
}

/** What became of a flow, as its promise would tell. */
export class Outcome<Result = unknown> {
  state: "pending" | "settled" | "failed" = "pending";
  result: Result | undefined;
  error: unknown;

  constructor(flow: Flow<Result>) {
    flow.waiter = {
      settle: (result) => {
        this.#end("settled");
        this.result = result;
      },
      fail: (error) => {
        this.#end("failed");
        this.error = error;
      },
    };
    if (flow instanceof PublishFlow && flow.state === "settled") this.#end("settled");
  }

  #end(state: "settled" | "failed"): void {
    assertEquals(this.state, "pending", "a flow ends once");
    this.state = state;
  }

  /** Gives the message of the error that the flow failed with. */
  get message(): string {
    assert(this.error instanceof Error, `the flow is ${this.state}`);
    return (this.error as Error).message;
  }
}

/**
 * A session, what it has asked for, and the time. There is no link: what the broker would send, the test hands in.
 * When it goes out of scope it checks that no packet was changed after it was sent.
 */
export class Recorder implements Effects {
  readonly session: Session;
  now = 0;
  /** How many more packets the write buffer takes before it says that it is full. */
  room = Infinity;
  /** How many bytes it got after that. */
  #excess = 0;
  readonly delivered: ApplicationMessage[] = [];
  /** The subscription identifiers that each of them came with. */
  readonly identifiers: (readonly number[] | undefined)[] = [];
  /** Whether a transaction is under way, and what was acknowledged in it. */
  inTransaction = false;
  readonly held: ApplicationMessage[] = [];
  /** While set, what a store would be told, among what is sent: `publish t published 1`, `-> PUBLISH(1) t QoS 1`. */
  changes: string[] | undefined;
  readonly challenges: AuthPacket[] = [];
  readonly #encoder = new Encoder(MQTT_5_0);
  /** Called with each message, as an application might. */
  onDeliver: (message: ApplicationMessage) => void = () => {};
  #sent: Packet[] = [];
  readonly #snapshots: { packet: Packet; snapshot: Packet }[] | undefined;

  /** Takes what differs from the defaults; `light` is for very many packets, which are not checked for changes then. */
  constructor(options: Partial<SessionOptions> = {}, { light = false } = {}) {
    this.#snapshots = light ? undefined : [];
    this.session = new Session(this, { ...OPTIONS, ...options });
  }

  // The effects.

  send(packet: Packet): number {
    this.#sent.push(packet);
    this.changes?.push(`-> ${describe(packet)}`);
    this.#snapshots?.push({ packet, snapshot: structuredClone(packet) });
    if (this.room <= 0) this.#excess += this.#encoder.sizeOf(packet);
    else if (--this.room === 0) this.#excess = 0;
    return this.room > 0 ? 1 : -this.#excess;
  }

  sizeOf(packet: Packet): number {
    return this.#encoder.sizeOf(packet);
  }

  challenge(packet: AuthPacket): void {
    this.challenges.push(packet);
  }

  holdAcknowledgement(message: ApplicationMessage): void {
    this.held.push(message);
  }

  publishChanged(flow: PublishFlow): void {
    const { topic, packetId } = flow.packet;
    this.#note(`publish ${topic} ${flow.state} ${packetId}`);
  }

  received(packetId: number): void {
    this.#note(`received ${packetId}`);
  }

  completed(packetId: number): void {
    this.#note(`completed ${packetId}`);
  }

  receivedForgotten(): void {
    this.#note("received forgotten");
  }

  subscriptionChanged(topicFilter: string): void {
    this.#note(`subscription ${topicFilter}`);
  }

  #note(change: string): void {
    this.changes?.push(change);
  }

  random(this: void): number {
    return 0.5;
  }

  deliver(message: ApplicationMessage, subscriptionIdentifiers: readonly number[] | undefined): void {
    this.delivered.push(message);
    this.identifiers.push(subscriptionIdentifiers);
    this.onDeliver(message);
  }

  // What the test asks.

  /** Gives the packets sent since the last call. */
  takePackets(): Packet[] {
    const sent = this.#sent;
    this.#sent = [];
    return sent;
  }

  /** Gives the packets sent since the last call, in short. */
  take(): string[] {
    return this.takePackets().map(describe);
  }

  /** Gives the payloads delivered since the last call. */
  takeDelivered(): string[] {
    return this.delivered.splice(0).map((message) => message.text());
  }

  [Symbol.dispose](): void {
    for (const { packet, snapshot } of this.#snapshots ?? []) {
      assertEquals(packet, snapshot, "a packet was changed after it was sent");
    }
  }

  // The connection.

  /** Connects; the CONNECT is not among what {@linkcode take} gives. */
  connect(
    sessionPresent = false,
    { connect, connack, features }: {
      connect?: Partial<ConnectPacket>;
      connack?: Partial<ConnackPacket>;
      features?: ProtocolFeatures;
    } = {},
  ): void {
    const flow = new Outcome(this.session.connect({ ...CONNECT, ...connect }, this.now, features));
    assertEquals(this.#sent.pop()?.type, "CONNECT");
    this.room = Infinity;
    this.receive({ ...connackPacket(0, sessionPresent), ...connack });
    assertEquals(flow.state, "settled");
  }

  /** Connects by MQTT 5.0; takes the properties of CONNACK, and those of CONNECT. */
  connect5(connack: Properties = {}, { sessionPresent = false, connect = {} }: Connecting5 = {}): void {
    const features = MQTT_5_0;
    this.connect(sessionPresent, { features, connect: { properties: connect }, connack: { properties: connack } });
  }

  lose(error: unknown = new Error("the link was cut")): void {
    this.session.linkLost(error);
  }

  /** Loses the link and connects again. */
  reconnect(sessionPresent: boolean): void {
    this.lose();
    this.connect(sessionPresent);
  }

  receive(packet: Packet): void {
    this.session.receive(packet, this.now);
  }

  /** Says that the write buffer takes `room` packets more. */
  writable(room = Infinity): void {
    this.room = room;
    this.session.writable(this.now);
  }

  // The commands.

  publish(
    topic: string,
    qos: QoS = 0,
    payload: string | Uint8Array = topic,
  ): { flow: PublishFlow; outcome: Outcome<ApplicationMessage> } {
    return this.publishUntil(undefined, publishPacket(topic, qos, payload));
  }

  /** Publishes a packet that is not to be sent at `expiresAt` any more. */
  publishUntil(
    expiresAt: number | undefined,
    packet: PublishPacket,
  ): { flow: PublishFlow; outcome: Outcome<ApplicationMessage> } {
    const flow = this.session.publish(packet, expiresAt) ?? sentFlow(packet);
    return { flow, outcome: new Outcome(flow) };
  }

  subscribe(...entries: (string | [string, QoS])[]): Outcome<number[]> & { flow: CancellableFlow } {
    const subscriptions = entries.map((entry) =>
      typeof entry === "string" ? subscription(entry, 0) : subscription(...entry)
    );
    const flow = this.session.subscribe({ type: "SUBSCRIBE", packetId: 0, subscriptions, properties: NO_PROPERTIES });
    return Object.assign(new Outcome(flow), { flow });
  }

  unsubscribe(...topicFilters: string[]): Outcome<number[]> & { flow: CancellableFlow } {
    const flow = this.session.unsubscribe({
      type: "UNSUBSCRIBE",
      packetId: 0,
      topicFilters,
      properties: NO_PROPERTIES,
    });
    return Object.assign(new Outcome(flow), { flow });
  }

  ping(): Outcome<void> & { flow: CancellableFlow } {
    const flow = this.session.ping(this.now);
    return Object.assign(new Outcome(flow), { flow });
  }
}

/** What stands for the flow of a publish that was over at once. */
function sentFlow(packet: PublishPacket): PublishFlow {
  const flow = new PublishFlow(packet);
  flow.state = "settled";
  return flow;
}

// Packets.

export function connackPacket(returnCode: number, sessionPresent = false): ConnackPacket {
  const reasonCode = [0, 0x84, 0x85, 0x88, 0x86, 0x87][returnCode];
  return { type: "CONNACK", sessionPresent, returnCode, reasonCode, properties: NO_PROPERTIES };
}

export function publishPacket(
  topic: string,
  qos: QoS = 0,
  payload: string | Uint8Array = topic,
  { packetId = 0, dup = false } = {},
): PublishPacket {
  const bytes = typeof payload === "string" ? new TextEncoder().encode(payload) : payload;
  return { type: "PUBLISH", dup, qos, retain: false, topic, packetId, properties: NO_PROPERTIES, payload: bytes };
}

type Acknowledgement = "PUBACK" | "PUBREC" | "PUBREL" | "PUBCOMP";

export function acknowledgement(type: Acknowledgement, packetId: number, reasonCode = 0): Packet {
  return { type, packetId, reasonCode, properties: NO_PROPERTIES };
}

export function suback(packetId: number, ...reasonCodes: number[]): Packet {
  return { type: "SUBACK", packetId, reasonCodes, properties: NO_PROPERTIES };
}

export function unsuback(packetId: number, ...reasonCodes: number[]): Packet {
  return { type: "UNSUBACK", packetId, reasonCodes, properties: NO_PROPERTIES };
}

function subscription(topicFilter: string, qos: QoS): SubscriptionRequest {
  return { topicFilter, qos, noLocal: false, retainAsPublished: false, retainHandling: 0 };
}

/**
 * Gives a packet in short: `PUBLISH(1) a QoS 2 dup`, `PUBACK(1)`, `SUBSCRIBE(2) a/#:1 b:0`. Properties are shown where there are any: the topic
 * alias in `a=3` and `=3`, the message expiry interval in `a 10s`, the subscription identifier in `SUBSCRIBE(2) a:0 #7`.
 */
export function describe(packet: Packet): string {
  switch (packet.type) {
    case "PUBLISH": {
      const { qos, dup, packetId, properties: { topicAlias, messageExpiryInterval } } = packet;
      const topic = topicAlias === undefined ? packet.topic : `${packet.topic}=${topicAlias}`;
      const expiry = messageExpiryInterval === undefined ? "" : ` ${messageExpiryInterval}s`;
      if (qos === 0) return `PUBLISH ${topic}${expiry}`;
      return `PUBLISH(${packetId}) ${topic} QoS ${qos}${dup ? " dup" : ""}${expiry}`;
    }
    case "SUBSCRIBE": {
      const entries = packet.subscriptions.map(({ topicFilter, qos }) => `${topicFilter}:${qos}`);
      const { subscriptionIdentifier } = packet.properties;
      const identifier = subscriptionIdentifier === undefined ? "" : ` #${subscriptionIdentifier}`;
      return `SUBSCRIBE(${packet.packetId}) ${entries.join(" ")}${identifier}`;
    }
    case "UNSUBSCRIBE":
      return `UNSUBSCRIBE(${packet.packetId}) ${packet.topicFilters.join(" ")}`;
    default:
      return "packetId" in packet ? `${packet.type}(${packet.packetId})` : packet.type;
  }
}
