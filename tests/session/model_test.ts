// A session and a simple broker, with a link between them that loses what is on its way: at random, seeded.

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { MQTT_5_0 } from "../../src/codec/mqtt_5_0.ts";
import type { ApplicationMessage } from "../../src/message.ts";
import type { Packet, PublishPacket, QoS } from "../../src/packets.ts";
import { NO_PROPERTIES, type Properties } from "../../src/properties.ts";
import { Random, seedOf } from "../random.ts";
import {
  acknowledgement,
  connackPacket,
  CONNECT,
  type Outcome,
  publishPacket,
  Recorder,
  suback,
  unsuback,
} from "./recorder.ts";

const DISCONNECT = { type: "DISCONNECT", reasonCode: 0, properties: NO_PROPERTIES } as const;

/** In MQTT 5.0 the broker rejects some messages, each of them whenever it comes. */
const isRejected = (payload: string) => Number(payload) % 13 === 0;

const topicOf = (payload: string) => payload.replace(/\d+$/, (number) => `t${Number(number) % 4}`);

/** What one side lets the other do on a connection. */
interface Allowance {
  receiveMaximum: number;
  topicAliasMaximum: number;
}

const UNLIMITED: Allowance = { receiveMaximum: 65_535, topicAliasMaximum: 0 };

/** A broker with one client, which keeps to the rules and complains when the client does not. */
class Broker {
  /** The payloads that came, in order, with repeats. */
  readonly record: string[] = [];
  readonly subscriptions = new Map<string, QoS>();
  /** QoS 2 identifiers from PUBLISH to PUBREL. */
  readonly #received = new Set<number>();
  /** What was sent and not acknowledged, in order: PUBLISH, or PUBREL after PUBREC. */
  readonly #unacknowledged = new Map<number, Packet>();
  readonly #send: (packet: Packet) => void;
  readonly #is5: boolean;
  #packetId = 0;
  // On this connection:
  #allowance = UNLIMITED;
  /** For a place among those that the client lets it send. */
  #waiting: PublishPacket[] = [];
  readonly #inFlight = new Set<number>();
  #ownAliases: string[] = [];
  #aliases: string[] = [];
  #topicAliasMaximum = 0;

  constructor(is5: boolean, send: (packet: Packet) => void) {
    this.#is5 = is5;
    this.#send = send;
  }

  /** Whether it has nothing left to send. */
  get quiet(): boolean {
    return this.#unacknowledged.size === 0;
  }

  publish(payload: string, qos: QoS): void {
    if (qos > 0) this.#packetId = this.#packetId % 65_535 + 1;
    const packet = publishPacket(topicOf(payload), qos, payload, { packetId: qos > 0 ? this.#packetId : 0 });
    if (qos > 0) this.#unacknowledged.set(packet.packetId, packet);
    this.#waiting.push(packet);
    this.#pump();
  }

  /** Begins on a connection; takes what the client allows, and what it is allowed. */
  connected(allowance: Allowance, { topicAliasMaximum }: Allowance): void {
    this.#allowance = allowance;
    this.#topicAliasMaximum = topicAliasMaximum;
    this.#aliases = [];
    this.#ownAliases = [];
    this.#inFlight.clear();
    this.#waiting = [];
    for (const packet of this.#unacknowledged.values()) {
      if (packet.type === "PUBLISH") this.#waiting.push({ ...packet, dup: true });
      else this.#send(packet);
    }
    this.#pump();
  }

  #pump(): void {
    for (let packet = this.#waiting[0]; packet !== undefined; packet = this.#waiting[0]) {
      if (packet.qos > 0 && this.#inFlight.size >= this.#allowance.receiveMaximum) return;
      if (packet.qos > 0) this.#inFlight.add(packet.packetId);
      this.#waiting.shift();
      this.#send(this.#shorten(packet));
    }
  }

  /** Puts an alias into every packet that may have one. */
  #shorten(packet: PublishPacket): PublishPacket {
    const { topicAliasMaximum } = this.#allowance, { topic } = packet;
    if (topicAliasMaximum === 0) return packet;
    const topicAlias = 1 + packet.payload.length % topicAliasMaximum;
    const known = this.#ownAliases[topicAlias] === topic;
    this.#ownAliases[topicAlias] = topic;
    return { ...packet, topic: known ? "" : topic, properties: { topicAlias } };
  }

  /** Gives the topic of a packet that was received. */
  #resolve({ topic, properties: { topicAlias } }: PublishPacket): string {
    if (topicAlias === undefined) return topic;
    assert(topicAlias >= 1 && topicAlias <= this.#topicAliasMaximum, `the topic alias ${topicAlias}`);
    if (topic !== "") this.#aliases[topicAlias] = topic;
    return this.#aliases[topicAlias];
  }

  #settle(packetId: number): void {
    this.#unacknowledged.delete(packetId);
    this.#inFlight.delete(packetId);
    this.#pump();
  }

  forget(): void {
    this.#received.clear();
    this.#unacknowledged.clear();
    this.subscriptions.clear();
  }

  receive(packet: Packet): void {
    switch (packet.type) {
      case "PUBLISH": {
        const { qos, packetId } = packet;
        const payload = new TextDecoder().decode(packet.payload);
        assertEquals(this.#resolve(packet), topicOf(payload));
        if (this.#is5 && qos > 0 && isRejected(payload)) {
          return this.#send(acknowledgement(qos === 1 ? "PUBACK" : "PUBREC", packetId, 0x97));
        }
        const repeat = qos === 2 && this.#received.has(packetId);
        if (!repeat) this.record.push(payload);
        if (qos === 1) this.#send(acknowledgement("PUBACK", packetId));
        if (qos === 2) this.#received.add(packetId);
        if (qos === 2) this.#send(acknowledgement("PUBREC", packetId));
        return;
      }
      case "PUBREL":
        this.#received.delete(packet.packetId);
        return this.#send(acknowledgement("PUBCOMP", packet.packetId));
      case "PUBACK":
      case "PUBCOMP":
        return this.#settle(packet.packetId);
      case "PUBREC": {
        assert(this.#unacknowledged.has(packet.packetId), `PUBREC for ${packet.packetId}, which is not in use`);
        const release = acknowledgement("PUBREL", packet.packetId);
        this.#unacknowledged.set(packet.packetId, release);
        return this.#send(release);
      }
      case "SUBSCRIBE":
        assertEquals(packet.properties.subscriptionIdentifier !== undefined, this.#is5);
        for (const { topicFilter, qos } of packet.subscriptions) this.subscriptions.set(topicFilter, qos);
        return this.#send(suback(packet.packetId, ...packet.subscriptions.map(({ qos }) => qos)));
      case "UNSUBSCRIBE":
        for (const topicFilter of packet.topicFilters) this.subscriptions.delete(topicFilter);
        return this.#send(unsuback(packet.packetId));
      case "PINGREQ":
        return this.#send({ type: "PINGRESP" });
      default:
        throw new Error(`A broker takes no ${packet.type} here`);
    }
  }
}

/** What MQTT demands of the packets that a client sends, checked as it sends them. */
class Rules {
  #window = 0;
  /** Publishes by identifier, from the first sending to the last answer. */
  readonly #publishes = new Map<number, string>();
  /** SUBSCRIBE and UNSUBSCRIBE on this connection. */
  readonly #requests = new Set<number>();
  /** QoS 1 and 2 publishes on this connection. */
  readonly #inFlight = new Set<number>();
  /** The messages received on this connection that are to be acknowledged, in order. */
  readonly #owed: Record<"PUBACK" | "PUBREC", number[]> = { PUBACK: [], PUBREC: [] };
  /** When PUBREC came, by identifier, and that of the PUBREL that was sent last on this connection. */
  readonly #recorded = new Map<number, number>();
  #released = 0;
  #count = 0;

  /** Takes how many publishes may be in flight on this connection. */
  connected(window: number): void {
    this.#window = window;
  }

  cut(): void {
    this.#requests.clear();
    this.#inFlight.clear();
    this.#owed.PUBACK = [];
    this.#owed.PUBREC = [];
    this.#released = 0;
  }

  forget(): void {
    this.#publishes.clear();
    this.#recorded.clear();
  }

  sent(packet: Packet): void {
    if (packet.type === "PUBLISH" && packet.qos > 0) this.#sentPublish(packet);
    if (packet.type === "SUBSCRIBE" || packet.type === "UNSUBSCRIBE") {
      const { packetId } = packet;
      assert(!this.#publishes.has(packetId) && !this.#requests.has(packetId), `${packetId} is in use [MQTT-2.3.1-2]`);
      this.#requests.add(packetId);
    }
    if (packet.type === "PUBACK" || packet.type === "PUBREC") {
      assertEquals(packet.packetId, this.#owed[packet.type].shift(), `the order of ${packet.type} [MQTT-4.6.0-2, -3]`);
    }
    if (packet.type === "PUBREL") {
      const recorded = this.#recorded.get(packet.packetId) ?? 0;
      assert(recorded > this.#released, "the order of PUBREL [MQTT-4.6.0-4]");
      this.#released = recorded;
    }
  }

  #sentPublish(packet: PublishPacket): void {
    const { packetId, dup } = packet;
    const payload = new TextDecoder().decode(packet.payload);
    assert(packetId >= 1 && packetId <= 65_535);
    assert(!this.#requests.has(packetId), `${packetId} is in use [MQTT-2.3.1-2]`);
    assertEquals(this.#publishes.get(packetId), dup ? payload : undefined, "DUP, and the identifier [MQTT-3.3.1-1]");
    this.#publishes.set(packetId, payload);
    this.#inFlight.add(packetId);
    assert(this.#inFlight.size <= this.#window, `${this.#inFlight.size} in flight`);
  }

  received(packet: Packet): void {
    const ends = packet.type === "PUBREC" && packet.reasonCode >= 0x80;
    if (packet.type === "PUBACK" || packet.type === "PUBCOMP" || ends) {
      this.#publishes.delete(packet.packetId);
      this.#inFlight.delete(packet.packetId);
      this.#recorded.delete(packet.packetId);
    }
    if (packet.type === "PUBREC" && !ends) this.#recorded.set(packet.packetId, ++this.#count);
    if (packet.type === "SUBACK" || packet.type === "UNSUBACK") this.#requests.delete(packet.packetId);
    if (packet.type === "PUBLISH" && packet.qos > 0) {
      this.#owed[packet.qos === 1 ? "PUBACK" : "PUBREC"].push(packet.packetId);
    }
  }
}

interface WorldOptions {
  random: Random;
  /** Whether the two speak MQTT 5.0, with all that it adds. */
  is5: boolean;
  manualAck: boolean;
  /** Whether the broker may lose the session together with the link. */
  losesSessions: boolean;
}

class World {
  readonly #random: Random;
  readonly #options: WorldOptions;
  readonly #it: Recorder;
  readonly #rules: Rules;
  readonly #broker: Broker;
  readonly #maxInflight: number;
  #linked = false;
  #toBroker: Packet[] = [];
  #toClient: Packet[] = [];
  #number = 0;
  readonly #published: {
    payload: string;
    qos: QoS;
    outcome: Outcome<ApplicationMessage>;
    expiresAt: number;
    cancelled: boolean;
    cancel(): void;
  }[] = [];
  readonly #sentByBroker: { payload: string; qos: QoS }[] = [];
  readonly #calls: Outcome[] = [];
  readonly #subscribed = new Map<string, QoS>();
  #unacknowledged: ApplicationMessage[] = [];

  constructor(options: WorldOptions) {
    this.#options = options;
    this.#random = options.random;
    const maxInflight = this.#maxInflight = this.#random.pick([1, 2, 5, 65_535]);
    this.#rules = new Rules();
    this.#it = new Recorder({ manualAck: options.manualAck, maxInflight, maxPublishAttempts: 1e9, pingDelay: 0 });
    this.#it.onDeliver = (message) => this.#unacknowledged.push(message);
    this.#broker = new Broker(options.is5, (packet) => this.#linked && this.#toClient.push(packet));
  }

  step(): void {
    const random = this.#random, options = this.#options;
    switch (random.below(14)) {
      case 0:
      case 1:
        return this.#publish();
      case 2: {
        const message = { payload: `in ${++this.#number}`, qos: random.pick([0, 1, 2] satisfies QoS[]) };
        if (this.#linked || message.qos > 0) this.#sentByBroker.push(message);
        return this.#broker.publish(message.payload, message.qos);
      }
      case 3:
      case 4:
      case 5:
        return this.#carryToBroker(1 + random.below(4));
      case 6:
      case 7:
      case 8:
        return this.#carryToClient(1 + random.below(4));
      case 9:
        return random.oneIn(2) ? this.#cut() : undefined;
      case 10:
        if (options.is5) this.#wait();
        return this.#linked ? undefined : this.#connect();
      case 11:
        return this.#call();
      case 12:
        return this.#fillOrEmptyBuffer();
      default:
        if (random.oneIn(10)) random.pick([undefined, ...this.#published])?.cancel();
        if (random.oneIn(20) && this.#linked) this.#disconnect();
        return this.#acknowledgeOne();
    }
  }

  #publish(): void {
    const qos = this.#random.pick([0, 1, 1, 2, 2] satisfies QoS[]), payload = `${++this.#number}`;
    const properties: Properties = {};
    if (this.#options.is5 && this.#random.oneIn(2)) properties.messageExpiryInterval = this.#random.below(30);
    const { messageExpiryInterval = Infinity } = properties;
    const expiresAt = this.#it.now + messageExpiryInterval;
    const packet = { ...publishPacket(topicOf(payload), qos, payload), properties };
    const { flow, outcome } = this.#it.publishUntil(expiresAt, packet);
    const entry = {
      payload,
      qos,
      outcome,
      expiresAt,
      cancelled: false,
      cancel: () => {
        if (outcome.state !== "pending") return;
        entry.cancelled = true;
        this.#it.session.cancel(flow);
      },
    };
    this.#published.push(entry);
    this.#send();
  }

  /** Lets time pass. */
  #wait(): void {
    this.#it.now += this.#random.below(5);
    if (this.#random.oneIn(2)) this.#it.session.tick(this.#it.now);
    this.#send();
  }

  #call(): void {
    const filter = this.#random.pick(["a", "b", "c/#"]), qos = this.#random.pick([0, 1, 2] satisfies QoS[]);
    if (this.#random.oneIn(5)) this.#calls.push(this.#it.ping());
    else if (this.#random.oneIn(3)) {
      this.#subscribed.delete(filter);
      this.#calls.push(this.#it.unsubscribe(filter));
    } else {
      this.#subscribed.delete(filter);
      this.#subscribed.set(filter, qos);
      this.#calls.push(this.#it.subscribe([filter, qos]));
    }
    this.#send();
  }

  #fillOrEmptyBuffer(): void {
    if (this.#random.oneIn(2)) this.#it.room = 1 + this.#random.below(3);
    else if (this.#linked) this.#it.writable(this.#random.oneIn(2) ? 1 + this.#random.below(5) : Infinity);
    this.#send();
  }

  #acknowledgeOne(): void {
    if (this.#unacknowledged.length === 0) return;
    const [message] = this.#unacknowledged.splice(this.#random.below(this.#unacknowledged.length), 1);
    message.ack();
    this.#send();
  }

  /** Puts what the session has sent on the link. */
  #send(): void {
    for (const packet of this.#it.takePackets()) {
      assert(this.#linked, `${packet.type} without a link`);
      this.#rules.sent(packet);
      this.#toBroker.push(packet);
    }
  }

  #carryToBroker(count: number): void {
    for (const packet of this.#toBroker.splice(0, count)) this.#broker.receive(packet);
  }

  #carryToClient(count: number): void {
    for (const packet of this.#toClient.splice(0, count)) {
      this.#rules.received(packet);
      this.#it.receive(packet);
      this.#send();
    }
  }

  #connect(): void {
    const sessionPresent = this.#number > 0 && !(this.#options.losesSessions && this.#random.oneIn(3));
    if (!sessionPresent) {
      this.#broker.forget();
      this.#rules.forget();
    }
    this.#linked = true;
    const { is5 } = this.#options;
    const [ofClient, ofBroker] = is5 ? [this.#allowance(), this.#allowance()] : [UNLIMITED, UNLIMITED];
    const features = is5 ? MQTT_5_0 : undefined;
    this.#rules.connected(Math.min(this.#maxInflight, ofBroker.receiveMaximum));
    const connect = { ...CONNECT, properties: is5 ? { ...ofClient } : NO_PROPERTIES };
    this.#it.session.connect(connect, this.#it.now, features);
    this.#it.room = Infinity;
    assertEquals(this.#it.take(), ["CONNECT"]);
    this.#it.receive({ ...connackPacket(0, sessionPresent), properties: is5 ? { ...ofBroker } : NO_PROPERTIES });
    this.#send();
    this.#broker.connected(ofClient, ofBroker);
  }

  #allowance(): Allowance {
    return {
      receiveMaximum: this.#random.pick([1, 2, 5, 65_535]),
      topicAliasMaximum: this.#random.pick([0, 1, 3, 10]),
    };
  }

  #cut(): void {
    if (!this.#linked) return;
    this.#linked = false;
    this.#it.lose();
    this.#end();
  }

  #end(): void {
    this.#toBroker = [];
    this.#toClient = [];
    this.#rules.cut();
  }

  /** Ends the link in good order: the broker reads all that was sent. */
  #disconnect(): void {
    this.#it.session.disconnect(0, NO_PROPERTIES);
    const packets = this.#it.takePackets();
    assertEquals(packets.pop(), DISCONNECT);
    assertEquals(packets, []);
    this.#carryToBroker(Infinity);
    for (const packet of this.#toClient) this.#it.receive(packet);
    this.#linked = false;
    this.#it.lose();
    this.#end();
  }

  /** Lets everything come to its end, without faults. */
  settle(): void {
    for (let i = 0; i < 10_000; i++) {
      if (!this.#linked) this.#connect();
      this.#it.writable();
      this.#send();
      this.#carryToBroker(Infinity);
      this.#carryToClient(Infinity);
      while (this.#unacknowledged.length > 0) this.#acknowledgeOne();
      if (this.#toBroker.length === 0 && this.#toClient.length === 0 && this.#broker.quiet) return;
    }
    throw new Error("It does not come to its end");
  }

  check(): void {
    this.#checkPublished();
    this.#checkDelivered();
    assert(this.#calls.every(({ state }) => state === "settled"), "a call is left");
    assertEquals([...this.#broker.subscriptions].sort(), [...this.#subscribed].sort());
    const { inFlight, queuedPublishes, publishesSettled } = this.#it.session;
    assertEquals([inFlight, queuedPublishes, publishesSettled], [0, 0, true]);
    this.#it[Symbol.dispose]();
  }

  #checkPublished(): void {
    const { record } = this.#broker;
    const counts = countEach(record);
    for (const { payload, qos, outcome, expiresAt, cancelled } of this.#published) {
      const count = counts.get(payload) ?? 0;
      const what = `message ${payload}, QoS ${qos}, came ${count} times`;
      if (cancelled) assertEquals(outcome.state, "pending");
      else if (outcome.state === "failed") this.#checkFailure(outcome.message, payload, expiresAt, count);
      else assertEquals(outcome.state, "settled", what);
      if (qos > 0 && outcome.state === "settled") assert(count >= 1, what);
      if (qos === 0 || qos === 2 && !this.#options.losesSessions) assert(count <= 1, what);
    }
    assertInOrder([...new Set(record)].map(Number));
  }

  #checkFailure(message: string, payload: string, expiresAt: number, count: number): void {
    if (this.#options.is5 && isRejected(payload) && message.includes("The broker rejected")) return;
    assertStringIncludes(message, "expired before it could be sent");
    assert(expiresAt <= this.#it.now, `message ${payload} expired too early`);
    if (!this.#options.losesSessions) assertEquals(count, 0, `message ${payload} expired though it was sent`);
  }

  #checkDelivered(): void {
    for (const message of this.#it.delivered) assertEquals(message.topic, topicOf(message.text()));
    const delivered = this.#it.delivered.map((message) => message.text());
    const counts = countEach(delivered);
    for (const { payload, qos } of this.#sentByBroker) {
      const count = counts.get(payload) ?? 0;
      const what = `message ${payload}, QoS ${qos}, was delivered ${count} times`;
      // Without the application's acknowledgement a message of QoS 2 may be delivered again, too.
      if (qos === 0 || qos === 2 && !this.#options.manualAck) assert(count <= 1, what);
      if (qos > 0 && !this.#options.losesSessions) assert(count >= 1, what);
    }
    assertInOrder([...new Set(delivered)].map((payload) => Number(payload.slice("in ".length))));
  }
}

function countEach(items: string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const item of items) counts.set(item, (counts.get(item) ?? 0) + 1);
  return counts;
}

function assertInOrder(numbers: number[]): void {
  for (const [i, number] of numbers.entries()) {
    if (i > 0) assert(numbers[i - 1] < number, `${number} came after ${numbers[i - 1]}`);
  }
}

for (const is5 of [false, true]) {
  for (const manualAck of [false, true]) {
    for (const losesSessions of [false, true]) {
      const title = `Session loses nothing, repeats no QoS 2 and keeps the order over random cuts` +
        ` (${is5 ? "MQTT 5.0, " : ""}session ${losesSessions ? "kept or lost" : "kept"}, ${
          manualAck ? "acknowledged by the application" : "acknowledged at once"
        })`;
      Deno.test(title, () => runWorlds({ is5, manualAck, losesSessions }));
    }
  }
}

function runWorlds(options: Omit<WorldOptions, "random">): void {
  const runs = Number(Deno.env.get("MODEL_RUNS") ?? 100), first = seedOf("MODEL_SEED");
  for (let run = 0; run < runs; run++) {
    const seed = first + run;
    try {
      const world = new World({ random: new Random(seed), ...options });
      for (let i = 0; i < 400; i++) world.step();
      world.settle();
      world.check();
    } catch (error) {
      throw new Error(`MODEL_SEED=${seed}`, { cause: error });
    }
  }
}
