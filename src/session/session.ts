import { ProtocolError } from "../errors.ts";
import type { ApplicationMessage } from "../message.ts";
import type {
  ConnackPacket,
  ConnectPacket,
  Packet,
  PublishPacket,
  SubscribePacket,
  UnsubscribePacket,
} from "../packets.ts";
import type { Properties } from "../properties.ts";
import { PROTOCOL_ERROR } from "../reason_codes.ts";
import type { Effects } from "./effects.ts";
import { ConnectFlow, PingFlow, PublishFlow, SubscribeFlow, UnsubscribeFlow } from "./flow.ts";
import { Inbound } from "./inbound.ts";
import { KeepAlive, type KeepAliveOptions } from "./keep_alive.ts";
import { Outbound, type OutboundOptions } from "./outbound.ts";
import { PacketIdentifiers } from "./packet_identifiers.ts";
import { Queue } from "../queue.ts";
import { Requests } from "./requests.ts";

/** What a session is told at its beginning; durations in seconds. */
export interface SessionOptions extends KeepAliveOptions, OutboundOptions {
  /** Whether the application acknowledges messages itself. */
  manualAck: boolean;
  /** Whether subscriptions are asked for again when the broker has lost them. */
  resubscribe: boolean;
}

/** What the state of the connection allows: nothing, CONNACK, everything, nothing but to be ignored. */
type State = "disconnected" | "connecting" | "connected" | "closing";

/** A flow that somebody may cease to wait for. */
export type CancellableFlow = PublishFlow | SubscribeFlow | UnsubscribeFlow | PingFlow;

/**
 * The client's side of an MQTT session (§4.1): packets and commands go in, effects come out, at once and in order. It waits for
 * nothing, reads no clock and knows no bytes; every `now` is in seconds of one clock.
 */
export class Session {
  readonly #effects: Effects;
  readonly #options: SessionOptions;
  readonly #identifiers = new PacketIdentifiers<PublishFlow | SubscribeFlow | UnsubscribeFlow>();
  readonly #outbound: Outbound;
  readonly #inbound: Inbound;
  readonly #requests: Requests;
  readonly #keepAlive: KeepAlive;
  #state: State = "disconnected";
  #connect: { packet: ConnectPacket; flow: ConnectFlow; now: number } | undefined;
  /** Pings sent and not answered; one that nobody waits for is `undefined`. */
  #pings = new Queue<{ flow: PingFlow | undefined; now: number }>();
  /** Pings for the next connection. */
  #waitingPings = new Set<PingFlow>();
  #roundTrip = 0;

  constructor(effects: Effects, options: SessionOptions) {
    this.#effects = effects;
    this.#options = options;
    this.#keepAlive = new KeepAlive(options);
    this.#outbound = new Outbound(effects, options, this.#identifiers);
    this.#inbound = new Inbound(effects, options.manualAck);
    this.#requests = new Requests(effects, this.#identifiers);
  }

  /** Publishes sent and not acknowledged. */
  get inFlight(): number {
    return this.#outbound.inFlight;
  }

  /** Publishes that wait to be sent. */
  get queuedPublishes(): number {
    return this.#outbound.queued;
  }

  /** Whether calls wait for answers of the broker. */
  get awaitsAnswers(): boolean {
    return this.#outbound.inFlight > 0 || this.#requests.unanswered > 0;
  }

  /** Whether every publish is acknowledged, or for QoS 0 written. */
  get publishesSettled(): boolean {
    return this.#outbound.settled;
  }

  /** Seconds from the last answered PINGREQ or CONNECT to its answer; 0 before the first. */
  get roundTrip(): number {
    return this.#roundTrip;
  }

  /** When {@linkcode tick} is to be called next; infinity: not needed. */
  get deadline(): number {
    return this.#state === "connected" ? this.#keepAlive.deadline : Infinity;
  }

  /** Opens the protocol on a new connection; the flow settles with CONNACK, whatever it says. */
  connect(packet: ConnectPacket, now: number): ConnectFlow {
    const flow = new ConnectFlow();
    this.#connect = { packet, flow, now };
    this.#state = "connecting";
    this.#effects.send(packet);
    return flow;
  }

  /**
   * Publishes a message, now or when the connection, the window and the write buffer allow it. The packet is kept.
   *
   * @throws {ClientError} If the offline queue does not take it.
   */
  publish(packet: PublishPacket): PublishFlow {
    return this.#outbound.publish(packet);
  }

  subscribe(packet: SubscribePacket): SubscribeFlow {
    const flow = new SubscribeFlow(packet);
    this.#requests.send(flow);
    return flow;
  }

  unsubscribe(packet: UnsubscribePacket): UnsubscribeFlow {
    const flow = new UnsubscribeFlow(packet);
    this.#requests.send(flow);
    return flow;
  }

  ping(now: number): PingFlow {
    const flow = new PingFlow();
    if (this.#state === "connected") this.#ping(flow, now);
    else this.#waitingPings.add(flow);
    return flow;
  }

  #ping(flow: PingFlow | undefined, now: number): void {
    this.#pings.push({ flow, now });
    this.#keepAlive.pinged(now);
    this.#effects.send({ type: "PINGREQ" });
  }

  /** Stops anybody's waiting for a flow, and the flow itself if nothing of it was sent. */
  cancel(flow: CancellableFlow): void {
    if (flow instanceof PublishFlow) this.#outbound.cancel(flow);
    else if (flow instanceof PingFlow) {
      flow.detach();
      this.#waitingPings.delete(flow);
    } else this.#requests.cancel(flow);
  }

  /** Sends DISCONNECT; nothing may be sent after it. */
  disconnect(reasonCode: number, properties: Properties): void {
    if (this.#state !== "connected") return;
    this.#effects.send({ type: "DISCONNECT", reasonCode, properties });
    this.linkLost(undefined);
    this.#state = "closing";
  }

  /** Acknowledges a received message for the application. */
  acknowledge(message: ApplicationMessage): void {
    this.#inbound.acknowledge(message);
  }

  /**
   * Takes a packet from the broker.
   *
   * @throws {ProtocolError} If the broker may not send it, or not now; the connection is of no use then.
   */
  receive(packet: Packet, now: number): void {
    if (this.#state === "closing") return; // It crossed DISCONNECT on its way.
    if (this.#state !== "connected") return this.#receiveConnack(packet, now);
    switch (packet.type) {
      case "PUBLISH":
        return this.#inbound.publish(packet);
      case "PUBACK":
        this.#outbound.puback(packet);
        return this.#goOn();
      case "PUBREC":
        this.#outbound.pubrec(packet);
        return this.#goOn();
      case "PUBREL":
        return this.#inbound.release(packet);
      case "PUBCOMP":
        this.#outbound.pubcomp(packet);
        return this.#goOn();
      case "SUBACK":
        this.#requests.suback(packet);
        return this.#goOn();
      case "UNSUBACK":
        this.#requests.unsuback(packet);
        return this.#goOn();
      case "PINGRESP":
        return this.#pingresp(now);
      default:
        throw new ProtocolError(`Unexpected ${packet.type} from the broker`, PROTOCOL_ERROR);
    }
  }

  /** Sends what waits, after an answer that may have freed a packet identifier or a place in the window. */
  #goOn(): void {
    this.#requests.pump();
    this.#outbound.pump();
  }

  #pingresp(now: number): void {
    this.#keepAlive.answered();
    const ping = this.#pings.shift();
    if (ping === undefined) return;
    this.#roundTrip = now - ping.now;
    ping.flow?.settle();
  }

  #receiveConnack(packet: Packet, now: number): void {
    const connect = this.#connect;
    if (connect === undefined || packet.type !== "CONNACK") {
      throw new ProtocolError(`Unexpected ${packet.type} from the broker before CONNACK`, PROTOCOL_ERROR);
    }
    if (packet.sessionPresent && connect.packet.cleanStart) { // [MQTT-3.2.2-1]
      throw new ProtocolError(
        "CONNACK says that a session is present, though a clean one was asked for",
        PROTOCOL_ERROR,
      );
    }
    this.#connect = undefined;
    if (packet.reasonCode === 0) this.#connected(connect.packet, packet, connect.now, now);
    else this.#state = "disconnected";
    connect.flow.settle(packet);
  }

  #connected(connect: ConnectPacket, connack: ConnackPacket, sent: number, now: number): void {
    this.#state = "connected";
    this.#roundTrip = now - sent;
    this.#keepAlive.start(connack.properties.serverKeepAlive ?? connect.keepAlive, now);
    if (!connack.sessionPresent) {
      this.#identifiers.reset();
      this.#inbound.reset();
    }
    this.#outbound.connected(connack.sessionPresent, connack.properties.receiveMaximum ?? 65_535);
    this.#requests.connected(this.#options.resubscribe && !connack.sessionPresent);
    for (const flow of this.#waitingPings) this.#ping(flow, now);
    this.#waitingPings.clear();
    this.#outbound.pump();
  }

  /** Notes that the write buffer takes more. */
  writable(): void {
    this.#outbound.writable();
  }

  /** Notes that bytes were written, and whether nothing is left to be. */
  written(now: number, all: boolean): void {
    this.#keepAlive.written(now, all);
  }

  /** Notes that bytes have come. */
  heard(now: number): void {
    this.#keepAlive.heard(now);
  }

  /** Notes that the connection is not read for a while. */
  pauseReading(): void {
    this.#keepAlive.pause();
  }

  resumeReading(now: number): void {
    this.#keepAlive.resume(now);
  }

  /** Does what is due. Gives whether the broker has left a ping unanswered for too long, so that the connection is dead. */
  tick(now: number): boolean {
    if (this.#state !== "connected") return false;
    const verdict = this.#keepAlive.check(now, this.awaitsAnswers);
    if (verdict === "ping") this.#ping(undefined, now);
    return verdict === "dead";
  }

  /** Notes that the connection is gone; what is under way waits for the next one, but for the connection attempt, which fails. */
  linkLost(error: unknown): void {
    const connect = this.#connect;
    this.#connect = undefined;
    this.#state = "disconnected";
    this.#outbound.linkLost();
    this.#requests.linkLost();
    this.#inbound.linkLost();
    for (const { flow } of this.#pings.takeAll()) if (flow !== undefined) this.#waitingPings.add(flow);
    connect?.flow.fail(error);
  }

  /** Fails everything that is under way: there will be no next connection. */
  end(error: unknown): void {
    this.linkLost(error);
    this.#outbound.end(error);
    this.#requests.end(error);
    const pings = [...this.#waitingPings];
    this.#waitingPings.clear();
    for (const flow of pings) flow.fail(error);
  }

  /** Forgets the subscriptions to restore, and with `clean` the rest of the session too. */
  reset(clean: boolean): void {
    this.#requests.reset();
    if (!clean) return;
    this.#identifiers.reset();
    this.#inbound.reset();
  }
}
