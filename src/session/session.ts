import { ClientError, ConnectionLostError, ProtocolError } from "../errors.ts";
import type { ApplicationMessage } from "../message.ts";
import type {
  AuthPacket,
  ConnackPacket,
  ConnectPacket,
  DisconnectPacket,
  Packet,
  PublishPacket,
  SubscribePacket,
  UnsubscribePacket,
} from "../packets.ts";
import { NO_PROPERTIES, type Properties } from "../properties.ts";
import {
  CONTINUE_AUTHENTICATION,
  describeReason,
  PERMANENT_REFUSALS,
  PROTOCOL_ERROR,
  REAUTHENTICATE,
  rejection,
  SUCCESS,
} from "../reason_codes.ts";
import type { Effects } from "./effects.ts";
import {
  AuthFlow,
  ConnectFlow,
  type Flow,
  NOBODY,
  PingFlow,
  PublishFlow,
  SubscribeFlow,
  UnsubscribeFlow,
} from "./flow.ts";
import { Inbound } from "./inbound.ts";
import { KeepAlive, type KeepAliveOptions } from "./keep_alive.ts";
import { Limits } from "./limits.ts";
import { Outbound, type OutboundOptions } from "./outbound.ts";
import { PacketIdentifiers } from "./packet_identifiers.ts";
import { Queue } from "../queue.ts";
import { Requests } from "./requests.ts";
import type { StoredSession } from "../stored_session.ts";
import type { Subscriptions } from "./subscriptions.ts";

/** What a session is told at its beginning; durations in seconds. */
export interface SessionOptions extends KeepAliveOptions, OutboundOptions {
  /** Whether the application acknowledges messages itself. */
  manualAck: boolean;
  /** Whether subscriptions are asked for again when the broker has lost them. */
  resubscribe: boolean;
}

/** What the protocol of a connection knows, by its version. */
export interface ProtocolFeatures {
  /** Whether either side may say why it ends the connection, and ask for authentication. */
  readonly hasReasons: boolean;
  /** Whether subscriptions may have identifiers. */
  readonly hasSubscriptionIdentifiers: boolean;
}

const NO_FEATURES: ProtocolFeatures = { hasReasons: false, hasSubscriptionIdentifiers: false };

/** What the state of the connection allows: nothing, CONNACK, everything, nothing but to be ignored. */
type State = "disconnected" | "connecting" | "connected" | "closing";

/** A flow that somebody may cease to wait for. */
export type CancellableFlow =
  | PublishFlow
  | SubscribeFlow
  | UnsubscribeFlow
  | PingFlow
  | AuthFlow
  | Flow<ApplicationMessage>;

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
  #features = NO_FEATURES;
  /** What CONNECT has told the broker of the present connection, if its protocol knows properties. */
  #properties = NO_PROPERTIES;
  /** Those who wait for an authentication on the connection that is up, or for the next connection, which begins with one. */
  #authenticating = new Set<AuthFlow>();
  /** Pings sent and not answered; one that nobody waits for is `undefined`. */
  #pings = new Queue<{ flow: PingFlow | undefined; now: number }>();
  /** How many of them somebody waits for. */
  #awaitedPings = 0;
  /** Pings for the next connection. */
  #waitingPings = new Set<PingFlow>();
  #roundTrip = 0;

  constructor(effects: Effects, options: SessionOptions) {
    this.#effects = effects;
    this.#options = options;
    this.#keepAlive = new KeepAlive(options);
    this.#outbound = new Outbound(effects, options, this.#identifiers);
    this.#requests = new Requests(effects, this.#identifiers, options.maxPublishAttempts, options.resubscribe);
    this.#inbound = new Inbound(effects, options.manualAck, this.subscriptions.identifiers);
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
    return this.#outbound.inFlight > 0 || this.#requests.unanswered > 0 || this.#awaitedPings > 0 ||
      this.#authenticating.size > 0;
  }

  /** Whether every publish is acknowledged, or for QoS 0 sent. */
  get publishesSettled(): boolean {
    return this.#outbound.settled;
  }

  /** Whether the write buffer takes more publishes. */
  get hasRoom(): boolean {
    return this.#outbound.hasRoom;
  }

  /** Seconds from the last answered PINGREQ or CONNECT to its answer; 0 before the first. */
  get roundTrip(): number {
    return this.#roundTrip;
  }

  /** When {@linkcode tick} is to be called next; infinity: not needed. */
  get deadline(): number {
    const { deadline } = this.#outbound;
    return this.#state === "connected" ? Math.min(deadline, this.#keepAlive.deadline) : deadline;
  }

  /** Opens the protocol on a new connection; the flow settles with CONNACK, whatever it says. */
  connect(packet: ConnectPacket, now: number, features: ProtocolFeatures = NO_FEATURES): ConnectFlow {
    const flow = new ConnectFlow();
    this.#connect = { packet, flow, now };
    this.#features = features;
    this.#properties = features.hasReasons ? packet.properties : NO_PROPERTIES;
    this.#state = "connecting";
    this.#effects.send(packet);
    return flow;
  }

  /**
   * Publishes a message, now or when the connection, the window and the write buffer allow it, until `expiresAt` at the latest. The packet
   * is kept. With `hold` it is sent after {@linkcode sendHeld}.
   *
   * @returns its flow, `undefined` where nothing more is to come, since it is of QoS 0 and was sent
   * @throws {ClientError} If the broker cannot take it, or the offline queue does not.
   */
  publish(packet: PublishPacket, expiresAt?: number, hold = false): PublishFlow | undefined {
    return this.#outbound.publish(packet, expiresAt, hold);
  }

  /** Sends the publishes that were held, as far as the window and the write buffer allow. */
  sendHeld(now: number): void {
    this.#outbound.pump(now);
  }

  /** Fails a publish that could not be stored, as if it had never been made. */
  revoke(flow: PublishFlow, error: unknown): void {
    this.#outbound.revoke(flow, error);
  }

  /**
   * Goes on after a former process. With `clean` it begins a new session, to which only the publishes are taken over.
   *
   * @param clockOrigin the time at which the clock of `now` was 0, in seconds since 1970-01-01 UTC
   * @returns the flows of the publishes
   */
  restore(stored: StoredSession, clean: boolean, clockOrigin: number): PublishFlow[] {
    if (!clean) {
      this.#identifiers.resumeAfter(stored.lastPacketId);
      this.#inbound.restore(stored.received);
      this.subscriptions.restore(stored.subscriptions);
    }
    return this.#outbound.restore(stored.publishes, clockOrigin);
  }

  /** The Packet Identifier that was assigned last; 0: none. */
  get lastPacketId(): number {
    return this.#identifiers.last;
  }

  /** @throws {ClientError} If the broker cannot grant it. */
  subscribe(packet: SubscribePacket): SubscribeFlow {
    const flow = new SubscribeFlow(packet);
    this.#requests.send(flow);
    return flow;
  }

  /** @throws {ClientError} If the packet is too large for the broker. */
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
    if (flow !== undefined) this.#awaitedPings++;
    this.#keepAlive.pinged(now);
    this.#effects.send({ type: "PINGREQ" });
  }

  /** Stops anybody's waiting for a flow, and the flow itself if nothing of it was sent. */
  cancel(flow: CancellableFlow): void {
    if (flow instanceof PublishFlow) this.#outbound.cancel(flow);
    else if (flow instanceof SubscribeFlow || flow instanceof UnsubscribeFlow) this.#requests.cancel(flow);
    else {
      flow.waiter = NOBODY;
      if (flow instanceof PingFlow) this.#waitingPings.delete(flow);
    }
  }

  /**
   * Has the broker authenticate the client once more, with this to begin with (MQTT 5.0, §4.12.1); the next connection does it by itself.
   *
   * @throws {ClientError} If the connection was not authenticated by a method, or is being authenticated again.
   */
  reauthenticate(data: Uint8Array | undefined): AuthFlow {
    const isUp = this.#state === "connected";
    if (isUp && !this.#hasMethod) throw withoutMethod();
    if (isUp && this.#authenticating.size > 0) {
      throw new ClientError("Cannot re-authenticate: the connection is being authenticated again already");
    }
    const flow = new AuthFlow();
    this.#authenticating.add(flow);
    if (isUp) this.#sendAuth(REAUTHENTICATE, data);
    return flow;
  }

  get #hasMethod(): boolean {
    return this.#properties.authenticationMethod !== undefined;
  }

  /** Answers the broker's challenge. */
  authenticate(data: Uint8Array): void {
    if (this.#state === "connecting" || this.#state === "connected") this.#sendAuth(CONTINUE_AUTHENTICATION, data);
  }

  #sendAuth(reasonCode: number, authenticationData: Uint8Array | undefined): void {
    const properties: Properties = { authenticationMethod: this.#properties.authenticationMethod };
    if (authenticationData !== undefined) properties.authenticationData = authenticationData;
    this.#effects.send({ type: "AUTH", reasonCode, properties });
  }

  /** Sends DISCONNECT; nothing may be sent after it. */
  disconnect(reasonCode: number, properties: Properties): void {
    if (this.#state !== "connected") return;
    this.linkLost(undefined);
    this.#state = "closing";
    this.#effects.send({ type: "DISCONNECT", reasonCode, properties });
  }

  /** Tells the broker, if it understands, that it broke the protocol. Gives whether it is told; nothing may be sent after it. */
  complain(reasonCode: number): boolean {
    if (!this.#features.hasReasons || this.#state === "disconnected" || this.#state === "closing") return false;
    if (this.#state === "connected") this.disconnect(reasonCode, NO_PROPERTIES);
    else {
      this.#effects.send({ type: "DISCONNECT", reasonCode, properties: NO_PROPERTIES });
      this.#state = "closing";
    }
    return true;
  }

  /** What was subscribed to. */
  get subscriptions(): Subscriptions {
    return this.#requests.subscriptions;
  }

  /** Acknowledges a received message whose acknowledgement is stored together with what the application has made of it. */
  acknowledgeProcessed(message: ApplicationMessage): void {
    this.#inbound.acknowledgeProcessed(message);
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
        return this.#goOn(now);
      case "PUBREC":
        this.#outbound.pubrec(packet);
        return this.#goOn(now);
      case "PUBREL":
        return this.#inbound.release(packet);
      case "PUBCOMP":
        this.#outbound.pubcomp(packet);
        return this.#goOn(now);
      case "SUBACK":
        this.#requests.suback(packet);
        return this.#goOn(now);
      case "UNSUBACK":
        this.#requests.unsuback(packet);
        return this.#goOn(now);
      case "PINGRESP":
        return this.#pingresp(now);
      case "AUTH":
        return this.#receiveAuth(packet);
      case "DISCONNECT":
        if (this.#features.hasReasons) throw this.#ended(packet);
    }
    throw new ProtocolError(`Unexpected ${packet.type} from the broker`, PROTOCOL_ERROR);
  }

  /** Gives the error for a connection that the broker has ended. Who waits for an authentication hears that it has failed. */
  #ended({ reasonCode, properties }: DisconnectPacket): ConnectionLostError {
    const { reasonString, serverReference, sessionExpiryInterval } = properties;
    if (sessionExpiryInterval !== undefined) { // [MQTT5-3.14.2-2]
      throw new ProtocolError("The broker set a session expiry interval in DISCONNECT", PROTOCOL_ERROR);
    }
    if (reasonCode >= 0x80) {
      const error = rejection("The broker rejected the authentication", reasonCode, reasonString);
      for (const flow of this.#takeAuthenticating()) flow.waiter.fail(error);
    }
    return new ConnectionLostError(`The broker ended the connection: ${describeReason(reasonCode, reasonString)}`, {
      reasonCode,
      serverReference,
      permanent: PERMANENT_REFUSALS.has(reasonCode),
    });
  }

  #takeAuthenticating(): AuthFlow[] {
    const flows = [...this.#authenticating];
    this.#authenticating.clear();
    return flows;
  }

  #receiveAuth(packet: AuthPacket): void {
    this.#checkMethod(packet);
    if (packet.reasonCode === CONTINUE_AUTHENTICATION) this.#effects.challenge(packet);
    else if (packet.reasonCode === SUCCESS) { for (const flow of this.#takeAuthenticating()) flow.waiter.settle(); }
    else throw new ProtocolError("The broker may not begin a re-authentication", PROTOCOL_ERROR);
  }

  /** Refuses an authentication by another method than that of CONNECT [MQTT5-4.12.0-5], or by any where that has none [MQTT5-4.12.0-6]. */
  #checkMethod({ type, properties: { authenticationMethod } }: AuthPacket | ConnackPacket): void {
    const method = this.#properties.authenticationMethod;
    if (authenticationMethod === method && method !== undefined) return;
    // A CONNACK that does not repeat it is no other method's.
    if (authenticationMethod === undefined && type === "CONNACK") return;
    throw new ProtocolError(
      `Unexpected ${type} from the broker: its method is not ${method === undefined ? "asked for" : `"${method}"`}`,
      PROTOCOL_ERROR,
    );
  }

  /** Sends what waits, after an answer that may have freed a packet identifier or a place in the window. */
  #goOn(now: number): void {
    this.#requests.pump();
    this.#outbound.pump(now);
  }

  #pingresp(now: number): void {
    this.#keepAlive.answered();
    const ping = this.#pings.shift();
    if (ping === undefined) return;
    this.#roundTrip = now - ping.now;
    if (ping.flow === undefined) return;
    this.#awaitedPings--;
    ping.flow.waiter.settle();
  }

  #receiveConnack(packet: Packet, now: number): void {
    const connect = this.#connect;
    if (connect !== undefined && packet.type === "AUTH" && packet.reasonCode === CONTINUE_AUTHENTICATION) {
      return this.#receiveAuth(packet);
    }
    if (connect === undefined || packet.type !== "CONNACK") {
      throw new ProtocolError(`Unexpected ${packet.type} from the broker before CONNACK`, PROTOCOL_ERROR);
    }
    if (packet.sessionPresent && connect.packet.cleanStart) { // [MQTT-3.2.2-1]
      throw new ProtocolError(
        "CONNACK says that a session is present, though a clean one was asked for",
        PROTOCOL_ERROR,
      );
    }
    if (packet.reasonCode === 0) this.#checkMethod(packet);
    this.#connect = undefined;
    if (packet.reasonCode === 0) this.#connected(connect.packet, packet, connect.now, now);
    else this.#state = "disconnected";
    connect.flow.waiter.settle(packet);
  }

  #connected(connect: ConnectPacket, connack: ConnackPacket, sent: number, now: number): void {
    this.#state = "connected";
    this.#roundTrip = now - sent;
    this.#keepAlive.start(connack.properties.serverKeepAlive ?? connect.keepAlive, now);
    if (!connack.sessionPresent) {
      this.#identifiers.reset();
      this.#inbound.reset();
    }
    const { topicAliasMaximum = 0, receiveMaximum = Infinity } = this.#properties;
    this.#inbound.connected(topicAliasMaximum, receiveMaximum);
    const limits = new Limits(this.#effects, connack.properties);
    this.#outbound.connected(connack.sessionPresent, limits);
    const identifies = this.#features.hasSubscriptionIdentifiers && limits.subscriptionIdentifiersAvailable;
    this.#requests.connected(connack.sessionPresent, limits, identifies);
    for (const flow of this.#waitingPings) this.#ping(flow, now);
    this.#waitingPings.clear();
    for (const { waiter } of this.#takeAuthenticating()) {
      if (this.#hasMethod) waiter.settle(); // by the connection itself
      else waiter.fail(withoutMethod());
    }
    this.#outbound.pump(now);
  }

  /** Notes that the write buffer takes more. */
  writable(now: number): void {
    this.#outbound.writable(now);
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
    this.#outbound.expire(now);
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
    this.#awaitedPings = 0;
    connect?.flow.waiter.fail(error);
  }

  /** Fails everything that is under way: there will be no next connection. */
  end(error: unknown): void {
    this.linkLost(error);
    this.#outbound.end(error);
    this.#requests.end(error);
    const pings = [...this.#waitingPings];
    this.#waitingPings.clear();
    for (const flow of [...pings, ...this.#takeAuthenticating()]) flow.waiter.fail(error);
  }

  /** Forgets the subscriptions to restore. The rest of the session is over when the broker says that it has none. */
  forgetSubscriptions(): void {
    this.#requests.reset();
  }
}

function withoutMethod(): ClientError {
  return new ClientError("Cannot re-authenticate: the connection has no authentication_method");
}
