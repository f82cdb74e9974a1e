import { ClientError, ProtocolError } from "../errors.ts";
import { ApplicationMessage } from "../message.ts";
import type { PubackPacket, PubcompPacket, PublishPacket, PubrecPacket, PubrelPacket } from "../packets.ts";
import { NO_PROPERTIES } from "../properties.ts";
import type { StoredPublish } from "../stored_session.ts";
import { Queue } from "../queue.ts";
import { PACKET_IDENTIFIER_NOT_FOUND, PROTOCOL_ERROR, rejection, SUCCESS } from "../reason_codes.ts";
import type { Effects } from "./effects.ts";
import { NOBODY, PublishFlow, type SubscribeFlow, type UnsubscribeFlow } from "./flow.ts";
import { Limits } from "./limits.ts";
import type { PacketIdentifiers } from "./packet_identifiers.ts";
import { OutboundTopicAliases } from "./topic_aliases.ts";

/** The bounds of what waits to be published. */
export interface OutboundOptions {
  /** How many QoS 1 and 2 publishes are under way at a time, 1…65,535; the broker may allow fewer. */
  maxInflight: number;
  /** How many publishes wait while there is no connection. */
  maxQueuedPublishes: number;
  /** How many bytes of topics and payloads wait while there is no connection. */
  maxQueuedBytes: number;
  /** What a publish does that finds the queue full. */
  queueFull: "reject" | "wait" | "drop_oldest";
  /** Whether QoS 0 waits as well while there is no connection. */
  queueQos0: boolean;
  /** How many sendings with no acknowledgement of anything in between a publish gets. */
  maxPublishAttempts: number;
  /** Whether topics are shortened by aliases as far as the broker allows. */
  topicAliases: boolean;
}

/** After so many sendings in vain only the oldest publish is sent: if a publish makes the broker close the connection, this tells which. */
const ATTEMPTS_BEFORE_PROBE = 5;

/** How many QoS 2 publishes a broker gets at a time after a connection was lost with more of them under way. */
const CAUTIOUS_QUOTA = 20;

/** What an alias adds to a packet at the most, in bytes. */
const TOPIC_ALIAS_SIZE = 5;

/** By how many bytes QoS 0 may exceed the write buffer, rather than be queued, which costs more. */
const LARGEST_EXCESS = 256 * 1024;

const ROOM_FOR_ANY = 1;

/** Dead entries that the queue may hold beside as many live ones. */
const MAXIMUM_CANCELLED = 64;

/** The messages that are published: sent in order, within the window, until they are acknowledged (§4.3, §4.4, §4.6). */
export class Outbound {
  readonly #effects: Effects;
  readonly #options: OutboundOptions;
  readonly #identifiers: PacketIdentifiers<PublishFlow | SubscribeFlow | UnsubscribeFlow>;
  #connected = false;
  /** How many bytes the write buffer takes, as far as is known. */
  #room = ROOM_FOR_ANY;
  /** Flows of QoS 0 that have waited and were sent, until they are written. */
  #unwritten: PublishFlow[] = [];
  #limits: Limits;
  #aliases: OutboundTopicAliases | undefined;
  #quota = 0;
  #inFlight = 0;
  /** Those of them that are of QoS 2, and how many of these the broker gets at a time. */
  #inFlightQos2 = 0;
  #quotaQos2 = Infinity;
  #order = 0;
  /** Sent before the connection was lost, to be sent again. */
  #resend = new Queue<PublishFlow>();
  /** Not sent yet. Cancelled flows stay until they are met. */
  #queue = new Queue<PublishFlow>();
  #queued = 0;
  #queuedBytes = 0;
  /** When the first message in the queue expires, at the earliest. */
  #nextExpiry = Infinity;
  /** Whether only one publish is sent until the broker acknowledges it; and whether that one is out. */
  #probe: "off" | "ready" | "sent" = "off";
  #acknowledged = false; // anything on this connection

  constructor(
    effects: Effects,
    options: OutboundOptions,
    identifiers: PacketIdentifiers<PublishFlow | SubscribeFlow | UnsubscribeFlow>,
  ) {
    this.#effects = effects;
    this.#options = options;
    this.#identifiers = identifiers;
    this.#limits = new Limits(effects);
  }

  /** Publishes under way: sent at least once and not settled. */
  get inFlight(): number {
    return this.#inFlight + this.#resend.length;
  }

  /** Publishes that wait for the connection, the window or the write buffer. */
  get queued(): number {
    return this.#queued;
  }

  /** Whether nothing is left to be sent or acknowledged. */
  get settled(): boolean {
    return this.inFlight === 0 && this.#queued === 0;
  }

  /** Whether the write buffer takes more, as far as is known. */
  get hasRoom(): boolean {
    return this.#room > 0;
  }

  /** When {@linkcode expire} is to be called next; infinity: not needed. */
  get deadline(): number {
    return this.#nextExpiry;
  }

  /**
   * Sends a message or queues it, until `expiresAt` at the latest. With `hold` it is queued in any case, and sent by the next `pump()`.
   * Gives its flow; `undefined` where nothing more is to come, since it is of QoS 0 and was sent.
   *
   * @throws {ClientError} If the broker cannot take it, the queue is full, or it would hold QoS 0 though it may not.
   */
  publish(packet: PublishPacket, expiresAt: number | undefined, hold: boolean): PublishFlow | undefined {
    const isNext = this.#connected && !hold && this.#queued === 0 && this.#resend.length === 0;
    if (this.#connected) {
      const fault = this.#limits.publishFault(packet);
      if (fault !== undefined) throw refused(packet, fault);
      if (isNext && packet.qos === 0 && this.#room > -LARGEST_EXCESS) {
        this.#sendPublish(packet);
        return undefined;
      }
    }
    const flow = new PublishFlow(packet, expiresAt);
    if (!this.#connected) this.#makeRoom(flow, !hold);
    else if (isNext && this.#maySend(flow)) {
      this.#transmit(flow);
      return flow;
    }
    this.#enqueue(flow);
    this.#effects.publishChanged(flow);
    return flow;
  }

  #enqueue(flow: PublishFlow): void {
    this.#queue.push(flow);
    this.#queued++;
    this.#queuedBytes += flow.size;
    if (flow.expiresAt !== undefined && flow.expiresAt < this.#nextExpiry) this.#nextExpiry = flow.expiresAt;
  }

  /** Goes on after a former process, which has not settled these publishes. Gives their flows, in the order of their publishing. */
  restore(publishes: readonly StoredPublish[], clockOrigin: number): PublishFlow[] {
    const flows = publishes.map((publish) => restoredFlow(publish, clockOrigin));
    const later = this.#queue.takeAll();
    for (const flow of flows) {
      this.#order = Math.max(this.#order, flow.order, flow.sequence);
      if (flow.state === "queued") this.#enqueue(flow);
      else this.#identifiers.claim(flow.packet.packetId, flow);
    }
    for (const flow of later) this.#queue.push(flow);
    const sent = flows.filter(({ state }) => state === "interrupted");
    for (const flow of sent.sort(byPacketUnderWay)) this.#resend.push(flow);
    return flows;
  }

  /** Fails a publish as if it had never been made: what is new in it could not be stored, and its PUBLISH does not go out. */
  revoke(flow: PublishFlow, error: unknown): void {
    if (flow.state === "settled" || flow.state === "left") return;
    if (flow.state === "queued") this.#withdraw(flow);
    else {
      if (flow.state === "interrupted") this.#removeFromResend(flow);
      else {
        this.#inFlight--;
        if (flow.packet.qos === 2) this.#inFlightQos2--;
        // It may be what was to tell the broker an alias.
        if (this.#aliases !== undefined) this.#aliases = new OutboundTopicAliases(this.#limits.topicAliasMaximum);
      }
      this.#identifiers.free(flow.packet.packetId);
      flow.state = "settled";
    }
    flow.waiter.fail(error);
  }

  #removeFromResend(revoked: PublishFlow): void {
    for (const flow of this.#resend.takeAll()) if (flow !== revoked) this.#resend.push(flow);
  }

  /** Takes a flow out of the queue; one that was sent goes on without anybody waiting. */
  cancel(flow: PublishFlow): void {
    flow.waiter = NOBODY;
    if (flow.state === "queued") this.#withdraw(flow);
  }

  /** Discards a flow that is left in the queue until it is met. */
  #withdraw(flow: PublishFlow): void {
    this.#discard(flow);
    if (this.#queue.length > 2 * this.#queued + MAXIMUM_CANCELLED) this.#compact();
  }

  /** Removes the flows from the queue that do not wait there any more. */
  #compact(): void {
    for (const flow of this.#queue.takeAll()) if (flow.state === "queued") this.#queue.push(flow);
  }

  /** Drops the messages from the queue that have expired. */
  expire(now: number): void {
    if (now < this.#nextExpiry) return;
    this.#nextExpiry = Infinity;
    const expired: PublishFlow[] = [];
    for (const flow of this.#queue.takeAll()) {
      if (flow.state !== "queued") continue;
      const { expiresAt = Infinity } = flow;
      if (expiresAt > now) {
        this.#queue.push(flow);
        if (expiresAt < this.#nextExpiry) this.#nextExpiry = expiresAt;
      } else {
        this.#discard(flow);
        expired.push(flow);
      }
    }
    for (const flow of expired) flow.waiter.fail(expiredError(flow.packet));
  }

  #discard(flow: PublishFlow): void {
    flow.state = "settled";
    this.#effects.publishChanged(flow);
    this.#queued--;
    this.#queuedBytes -= flow.size;
  }

  /** Makes room in the queue for a flow; without `mayDrop`, not by what could not be undone. */
  #makeRoom(flow: PublishFlow, mayDrop: boolean): void {
    const { maxQueuedPublishes, maxQueuedBytes, queueFull, queueQos0 } = this.#options;
    const { packet, size } = flow;
    if (packet.qos === 0 && !queueQos0) {
      throw new ClientError(`Cannot publish to "${packet.topic}": not connected, and queue_qos_0 is off`);
    }
    const full = () => this.#queued >= maxQueuedPublishes || this.#queuedBytes + size > maxQueuedBytes;
    if (queueFull === "wait" && size <= maxQueuedBytes) return;
    while (queueFull === "drop_oldest" && mayDrop && this.#queued > 0 && size <= maxQueuedBytes && full()) {
      const oldest = this.#queue.shift();
      if (oldest?.state !== "queued") continue;
      this.#discard(oldest);
      oldest.waiter.fail(
        new ClientError(
          `Dropped the publish to "${oldest.packet.topic}": the offline queue was full and it was the oldest`,
        ),
      );
    }
    if (full()) {
      throw new ClientError(
        `Cannot publish to "${packet.topic}": not connected, and the offline queue is full ` +
          `(${this.#queued} publishes, ${this.#queuedBytes} bytes; see max_queued_publishes, max_queued_bytes, queue_full)`,
      );
    }
  }

  #maySend(flow: PublishFlow): boolean {
    if (!this.hasRoom) return false;
    if (flow.packet.qos === 0) return true;
    if (isReleased(flow)) return true;
    if (this.#probe === "sent" || this.#inFlight >= this.#quota) return false;
    if (flow.packet.qos === 2 && this.#inFlightQos2 >= this.#quotaQos2) return false;
    return flow.packet.packetId !== 0 || !this.#identifiers.exhausted;
  }

  #transmit(flow: PublishFlow): void {
    const packet = flow.packet;
    if (packet.qos === 0) {
      flow.state = "settled";
      this.#effects.publishChanged(flow);
      this.#sendPublish(packet);
      return;
    }
    this.#inFlight++;
    if (packet.qos === 2) this.#inFlightQos2++;
    if (isReleased(flow)) return this.#release(flow);
    if (this.#probe === "ready") this.#probe = "sent";
    flow.state = "published";
    flow.attempts++;
    if (packet.packetId === 0) {
      if (flow.order === 0) flow.order = flow.sequence = ++this.#order;
      packet.packetId = this.#identifiers.assign(flow);
      this.#effects.publishChanged(flow);
      this.#sendPublish(packet);
    } else {
      // A packet that was handed out is not changed.
      flow.packet = { ...packet, dup: true }; // [MQTT-3.3.1-1]
      this.#sendPublish(flow.packet);
    }
  }

  #sendPublish(packet: PublishPacket): void {
    const shortens = this.#aliases !== undefined && this.#limits.roomFor(packet) >= TOPIC_ALIAS_SIZE;
    this.#send(shortens && this.#aliases !== undefined ? this.#aliases.shorten(packet) : packet);
  }

  #release(flow: PublishFlow): void {
    const { packetId } = flow.packet;
    flow.state = "released";
    this.#effects.publishChanged(flow);
    flow.pubrelPacket = pubrel(packetId);
    this.#send(flow.pubrelPacket);
  }

  #send(packet: Parameters<Effects["send"]>[0]): void {
    this.#room = this.#effects.send(packet);
  }

  /** Sends what waits, as far as the window and the write buffer allow. */
  pump(now: number): void {
    while (this.#connected) {
      const resent = this.#resend.peek();
      const flow = resent ?? this.#queue.peek();
      if (flow === undefined) return;
      if (flow.state !== "settled" && !this.#maySend(flow)) return;
      if (resent !== undefined) this.#resend.shift();
      else {
        this.#queue.shift();
        if (flow.state === "settled") continue; // cancelled
        this.#queued--;
        this.#queuedBytes -= flow.size;
      }
      if (!isReleased(flow) && !this.#isWorthSending(flow, now)) continue;
      this.#transmit(flow);
      if (flow.packet.qos !== 0) continue;
      if (this.hasRoom) flow.waiter.settle(new ApplicationMessage(flow.packet));
      else this.#unwritten.push(flow);
    }
  }

  #settleWritten(): void {
    for (const flow of this.#unwritten.splice(0)) flow.waiter.settle(new ApplicationMessage(flow.packet));
  }

  /** Checks a message that has waited before it is sent; one that must not be fails. What the broker may know already does not expire. */
  #isWorthSending(flow: PublishFlow, now: number): boolean {
    const { packet } = flow;
    const fault = this.#limits.publishFault(packet);
    const expiresAt = packet.packetId === 0 ? flow.expiresAt : undefined;
    if (fault === undefined && expiresAt === undefined) return true;
    if (fault !== undefined || expiresAt === undefined || expiresAt <= now) {
      flow.state = "settled";
      this.#effects.publishChanged(flow);
      this.#identifiers.free(packet.packetId);
      flow.waiter.fail(fault === undefined ? expiredError(packet) : refused(packet, fault));
      return false;
    }
    // The clock of the caller may be behind the one that the message was published by.
    const { messageExpiryInterval: before = Infinity } = packet.properties;
    const messageExpiryInterval = Math.min(before, Math.ceil(expiresAt - now));
    flow.packet = { ...packet, properties: { ...packet.properties, messageExpiryInterval } };
    return true;
  }

  /** Goes on when the write buffer takes more. */
  writable(now: number): void {
    this.#room = ROOM_FOR_ANY;
    this.#settleWritten();
    this.pump(now);
  }

  puback(packet: PubackPacket): void {
    const flow = this.#flow(packet.packetId, 1, "PUBACK");
    if (flow === undefined) return;
    this.#settle(flow, packet);
  }

  pubrec(packet: PubrecPacket): void {
    const { packetId } = packet;
    const flow = this.#flow(packetId, 2, "PUBREC");
    if (flow === undefined) {
      // One that refuses a publish ends it, and PUBREL answers the others alone [MQTT5-4.3.3-4].
      if (packet.reasonCode >= 0x80 || this.#identifiers.get(packetId) !== undefined) return;
      this.#send({ type: "PUBREL", packetId, reasonCode: PACKET_IDENTIFIER_NOT_FOUND, properties: NO_PROPERTIES });
      return;
    }
    flow.pubrecPacket = packet;
    if (packet.reasonCode >= 0x80) return this.#settle(flow, packet);
    flow.sequence = ++this.#order; // PUBREL goes out in the order of PUBREC [MQTT-4.6.0-4]
    this.#release(flow);
  }

  pubcomp(packet: PubcompPacket): void {
    const flow = this.#flow(packet.packetId, 2, "PUBCOMP");
    if (flow === undefined) return;
    if (flow.state !== "released") throw unexpected("PUBCOMP", packet.packetId, "before PUBREC");
    this.#settle(flow, packet);
  }

  /** Gives the flow on this connection that an acknowledgement is for, `undefined` when there is none. */
  #flow(packetId: number, qos: 1 | 2, type: string): PublishFlow | undefined {
    const flow = this.#identifiers.get(packetId);
    if (!(flow instanceof PublishFlow) || flow.state === "interrupted") return undefined;
    if (flow.packet.qos !== qos) throw unexpected(type, packetId, `for a publish of QoS ${flow.packet.qos}`);
    return flow;
  }

  #settle(flow: PublishFlow, answer: PubackPacket | PubrecPacket | PubcompPacket): void {
    flow.state = "settled";
    this.#effects.publishChanged(flow);
    this.#identifiers.free(flow.packet.packetId);
    this.#inFlight--;
    if (flow.packet.qos === 2) this.#inFlightQos2--;
    // PUBREC doesn't count: if the session is lost, its flow begins anew.
    this.#acknowledged = true;
    this.#probe = "off";
    // A PUBCOMP that knows the identifier no more ends the flow as well as any other [MQTT-4.3.3].
    if (answer.reasonCode < 0x80 || answer.type === "PUBCOMP") flow.waiter.settle(completed(flow, answer));
    else {
      const { reasonCode, properties: { reasonString } } = answer;
      const what = `The broker rejected the publish to "${flow.packet.topic}"`;
      flow.waiter.fail(rejection(what, reasonCode, reasonString));
    }
  }

  /** Begins on a new connection, to a broker that has these limits. */
  connected(sessionPresent: boolean, limits: Limits): void {
    this.#connected = true;
    this.#room = ROOM_FOR_ANY;
    this.#acknowledged = false;
    this.#limits = limits;
    this.#quota = Math.min(limits.receiveMaximum, this.#options.maxInflight);
    const { topicAliasMaximum } = limits;
    const shortens = this.#options.topicAliases && topicAliasMaximum > 0;
    this.#aliases = shortens ? new OutboundTopicAliases(topicAliasMaximum) : undefined;
    this.#inFlight = this.#inFlightQos2 = 0;
    const flows = this.#resend.takeAll();
    if (!sessionPresent) {
      for (const flow of flows) {
        // The broker knows nothing of it: it goes out again as a new message.
        flow.pubrecPacket = flow.pubrelPacket = undefined;
        flow.packet = { ...flow.packet, packetId: 0, dup: false };
      }
      flows.sort((a, b) => a.order - b.order);
      // Not all of them may be sent before this connection is lost too.
      for (const flow of flows) {
        flow.order = flow.sequence = ++this.#order;
        this.#effects.publishChanged(flow);
      }
    }
    for (const flow of flows) this.#resend.push(flow);
    const attempts = flows.find(isUnreleased)?.attempts ?? 0;
    this.#probe = attempts >= this.#attemptsBeforeProbe ? "ready" : "off";
  }

  get #attemptsBeforeProbe(): number {
    return Math.min(ATTEMPTS_BEFORE_PROBE, Math.ceil(this.#options.maxPublishAttempts / 2));
  }

  #giveUp(flow: PublishFlow): void {
    const { topic, payload, packetId } = flow.packet;
    flow.state = "settled";
    this.#effects.publishChanged(flow);
    this.#identifiers.free(packetId);
    flow.waiter.fail(
      new ClientError(
        `Gave up the publish to "${topic}" (${payload.length} bytes of payload): the connection broke after each of its ` +
          `${this.#options.maxPublishAttempts} sendings, the broker may not accept it (see max_publish_attempts)`,
      ),
    );
  }

  /** Puts what is not acknowledged aside for the next connection. */
  linkLost(): void {
    if (!this.#connected) return;
    this.#connected = false;
    this.#settleWritten();
    const flows = this.#identifiers.flows().filter((flow) => flow instanceof PublishFlow);
    // What was to be sent anew and has no identifier yet.
    for (const flow of this.#resend.takeAll()) if (flow.packet.packetId === 0) flows.push(flow);
    flows.sort(byPacketUnderWay);
    // It may have been lost for them: a broker of 3.1.1 cannot say how many it takes, and Mosquitto closes it at more than 20.
    this.#quotaQos2 = this.#inFlightQos2 > CAUTIOUS_QUOTA ? CAUTIOUS_QUOTA : Infinity;
    this.#inFlight = this.#inFlightQos2 = 0;
    const head = flows.find(isUnreleased);
    const givenUp = !this.#acknowledged && head !== undefined && head.attempts >= this.#options.maxPublishAttempts;
    for (const flow of flows) {
      flow.state = "interrupted";
      if (this.#acknowledged || givenUp) flow.attempts = Math.min(flow.attempts, 1);
      if (!givenUp || flow !== head) this.#resend.push(flow);
    }
    if (givenUp) this.#giveUp(head);
  }

  /** Fails everything that is not settled. */
  end(error: unknown): void {
    this.linkLost();
    for (const flow of [...this.#resend.takeAll(), ...this.#queue.takeAll()]) {
      if (flow.state === "settled") continue;
      flow.state = "left";
      this.#identifiers.free(flow.packet.packetId);
      flow.waiter.fail(error);
    }
    this.#queued = this.#queuedBytes = 0;
    this.#nextExpiry = Infinity;
  }
}

/** Whether the broker has acknowledged the PUBLISH, so that PUBREL is to be sent again and not the message. */
function isReleased(flow: PublishFlow): boolean {
  return flow.pubrelPacket !== undefined;
}

/** Gives the message of a flow that the broker has ended by an answer. */
function completed(flow: PublishFlow, answer: PubackPacket | PubrecPacket | PubcompPacket): ApplicationMessage {
  const message = new ApplicationMessage(flow.packet);
  message.pubrecPacket = flow.pubrecPacket;
  message.pubrelPacket = flow.pubrelPacket;
  if (answer.type === "PUBACK") message.pubackPacket = answer;
  else if (answer.type === "PUBCOMP") message.pubcompPacket = answer;
  return message;
}

/** PUBREL first: it must not be overtaken by that of a message whose PUBLISH is sent again now [MQTT-4.6.0-4]. */
function byPacketUnderWay(a: PublishFlow, b: PublishFlow): number {
  return Number(isReleased(b)) - Number(isReleased(a)) || a.sequence - b.sequence;
}

function restoredFlow(publish: StoredPublish, clockOrigin: number): PublishFlow {
  const { id, packetId, state, sequence, topic, payload, qos, retain, properties, expiresAt } = publish;
  const packet = { type: "PUBLISH", dup: false, qos, retain, topic, packetId, properties, payload } as const;
  const flow = new PublishFlow(packet);
  flow.stored = { id, packetId, state, sequence };
  if (expiresAt !== undefined) flow.expiresAt = expiresAt / 1000 - clockOrigin;
  if (state === "queued") return flow;
  flow.order = id;
  flow.sequence = sequence;
  flow.state = "interrupted";
  flow.attempts = 1;
  if (state === "released") flow.pubrelPacket = pubrel(packetId);
  return flow;
}

function pubrel(packetId: number): PubrelPacket {
  return { type: "PUBREL", packetId, reasonCode: SUCCESS, properties: NO_PROPERTIES };
}

function isUnreleased(flow: PublishFlow): boolean {
  return !isReleased(flow);
}

function refused({ topic }: PublishPacket, fault: string): ClientError {
  return new ClientError(`Cannot publish to "${topic}": ${fault}`);
}

function expiredError({ topic, properties: { messageExpiryInterval } }: PublishPacket): ClientError {
  return new ClientError(
    `The publish to "${topic}" expired before it could be sent (message expiry interval of ${messageExpiryInterval} s)`,
  );
}

function unexpected(type: string, packetId: number, why: string): ProtocolError {
  return new ProtocolError(`Unexpected ${type} ${why} (packet identifier ${packetId})`, PROTOCOL_ERROR);
}
