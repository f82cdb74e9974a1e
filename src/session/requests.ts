import { ClientError, ProtocolError } from "../errors.ts";
import type { SubackPacket, SubscribePacket, UnsubackPacket } from "../packets.ts";
import { PROTOCOL_ERROR } from "../reason_codes.ts";
import type { Effects } from "./effects.ts";
import { NOBODY, type PublishFlow, SubscribeFlow, UnsubscribeFlow } from "./flow.ts";
import { Limits } from "./limits.ts";
import type { PacketIdentifiers } from "./packet_identifiers.ts";
import { Subscriptions } from "./subscriptions.ts";

type RequestFlow = SubscribeFlow | UnsubscribeFlow;

/** The subscribe and unsubscribe calls that are under way, and what they have led to (§3.8, §3.10). */
export class Requests {
  readonly #effects: Effects;
  readonly #identifiers: PacketIdentifiers<PublishFlow | RequestFlow>;
  readonly subscriptions = new Subscriptions();
  readonly #maximumAttempts: number;
  readonly #resubscribe: boolean;
  #connected = false;
  #limits: Limits;
  /** Whether a SUBSCRIBE is given an identifier, by which its messages are known. */
  #identifies = false;
  #sent = new Set<RequestFlow>();
  /** For a connection or a packet identifier; in order. */
  #waiting = new Set<RequestFlow>();

  /** Takes how many times a request is sent whose answer the connection does not survive, and whether to restore what was granted. */
  constructor(
    effects: Effects,
    identifiers: PacketIdentifiers<PublishFlow | RequestFlow>,
    maximumAttempts: number,
    resubscribe: boolean,
  ) {
    this.#effects = effects;
    this.#resubscribe = resubscribe;
    this.#maximumAttempts = maximumAttempts;
    this.#identifiers = identifiers;
    this.#limits = new Limits(effects);
  }

  /** How many were sent and are not answered. */
  get unanswered(): number {
    return this.#sent.size;
  }

  /**
   * Sends a SUBSCRIBE or UNSUBSCRIBE, now or when there is a connection and a packet identifier.
   *
   * @throws {ClientError} If the broker cannot grant it.
   */
  send(flow: RequestFlow): void {
    const refusal = this.#connected ? this.#refusal(flow) : undefined;
    if (refusal !== undefined) throw refusal;
    this.#waiting.add(flow);
    this.pump();
  }

  /** Takes back what was not sent; what was goes on without anybody waiting. */
  cancel(flow: RequestFlow): void {
    flow.waiter = NOBODY;
    this.#waiting.delete(flow);
  }

  pump(): void {
    if (!this.#connected || this.#waiting.size === 0) return;
    for (const flow of this.#waiting) {
      if (this.#identifiers.exhausted) return;
      this.#waiting.delete(flow);
      const refusal = this.#refusal(flow);
      if (refusal !== undefined) {
        this.#fail(flow, refusal);
        continue;
      }
      this.#sent.add(flow);
      flow.attempts++;
      flow.packet.packetId = this.#identifiers.assign(flow);
      if (flow instanceof SubscribeFlow) this.#subscribe(flow);
      else this.#effects.send(flow.packet);
    }
  }

  #subscribe(flow: SubscribeFlow): void {
    const { packet } = flow;
    flow.identifier = this.#identifierFor(packet);
    if (flow.identifier !== undefined) this.subscriptions.identifiers.requested(packet, flow.identifier);
    this.#effects.send(identified(packet, flow.identifier));
  }

  /** Gives the identifier that a SUBSCRIBE is to have for this broker, `undefined`: none but its own. */
  #identifierFor(packet: SubscribePacket): number | undefined {
    return this.#identifies ? this.subscriptions.identifiers.for(packet) : undefined;
  }

  /** Gives the error for what the broker cannot grant, `undefined` when it can. */
  #refusal(flow: RequestFlow): ClientError | undefined {
    const subscribes = flow instanceof SubscribeFlow;
    const fault = subscribes
      ? this.#limits.subscribeFault(identified(flow.packet, this.#identifierFor(flow.packet)))
      : this.#limits.unsubscribeFault(flow.packet);
    if (fault === undefined) return undefined;
    return new ClientError(`Cannot ${describe(flow)}: ${fault}`);
  }

  suback(packet: SubackPacket): void {
    const flow = this.#identifiers.get(packet.packetId);
    if (!(flow instanceof SubscribeFlow)) return;
    const { packet: { subscriptions }, identifier, restores } = flow;
    if (packet.reasonCodes.length !== subscriptions.length) { // [MQTT-3.8.4-5]
      throw this.#breach(
        flow,
        `SUBACK holds ${packet.reasonCodes.length} codes for ${subscriptions.length} subscriptions`,
      );
    }
    this.subscriptions.answered(flow.packet, identifier, packet.reasonCodes);
    const topicFilters = subscriptions.map(({ topicFilter }) => topicFilter);
    if (restores) this.subscriptions.removed(topicFilters.filter((_, i) => packet.reasonCodes[i] >= 0x80));
    for (const topicFilter of topicFilters) this.#effects.subscriptionChanged(topicFilter);
    this.#settle(flow, packet.reasonCodes);
  }

  unsuback(packet: UnsubackPacket): void {
    const flow = this.#identifiers.get(packet.packetId);
    if (!(flow instanceof UnsubscribeFlow)) return;
    const { topicFilters } = flow.packet;
    const reasonCodes = packet.reasonCodes.length === 0 ? topicFilters.map(() => 0) : packet.reasonCodes;
    if (reasonCodes.length !== topicFilters.length) {
      throw this.#breach(flow, `UNSUBACK holds ${reasonCodes.length} codes for ${topicFilters.length} topic filters`);
    }
    this.#forget(topicFilters.filter((_, i) => reasonCodes[i] < 0x80));
    this.#settle(flow, reasonCodes);
  }

  #settle(flow: RequestFlow, reasonCodes: number[]): void {
    this.#sent.delete(flow);
    this.#identifiers.free(flow.packet.packetId);
    flow.waiter.settle(reasonCodes);
  }

  /** Fails a flow whose answer breaks the protocol: sent again it would break the next connection too. Gives the error. */
  #breach(flow: RequestFlow, message: string): ProtocolError {
    const error = new ProtocolError(message, PROTOCOL_ERROR);
    this.#sent.delete(flow);
    this.#identifiers.free(flow.packet.packetId);
    this.#fail(flow, error);
    return error;
  }

  /** Fails a flow. What it was to restore is not subscribed to any more. */
  #fail(flow: RequestFlow, error: unknown): void {
    if (flow instanceof SubscribeFlow && flow.restores) {
      this.#forget(flow.packet.subscriptions.map(({ topicFilter }) => topicFilter));
    }
    flow.waiter.fail(error);
  }

  #forget(topicFilters: string[]): void {
    this.subscriptions.removed(topicFilters);
    for (const topicFilter of topicFilters) this.#effects.subscriptionChanged(topicFilter);
  }

  /**
   * Begins on a new connection, to a broker that has these limits. What was granted in a session that it has lost is asked for again before
   * anything else, or forgotten if it is not to be restored. With `identifies`, the broker knows subscription identifiers.
   */
  connected(sessionPresent: boolean, limits: Limits, identifies: boolean): void {
    const restores = this.#resubscribe && !sessionPresent;
    this.subscriptions.identifiers.connected(sessionPresent, this.#effects.random);
    this.#connected = true;
    this.#limits = limits;
    this.#identifies = identifies;
    const waiting = this.#waiting;
    this.#waiting = new Set();
    if (restores) {
      for (const packet of this.subscriptions.packets()) this.#waiting.add(new SubscribeFlow(packet, true));
    } else if (!sessionPresent) this.#forget(this.subscriptions.topicFilters());
    for (const flow of waiting) {
      const superseded = restores && flow instanceof SubscribeFlow && flow.restores;
      if (!superseded) this.#waiting.add(flow);
    }
    this.pump();
  }

  /** Puts what is not answered aside, to be sent again first, but not for ever: it may be what the broker closes the connection for. */
  linkLost(): void {
    this.#connected = false;
    const sent = [...this.#sent];
    this.#sent.clear();
    for (const flow of sent) {
      this.#identifiers.free(flow.packet.packetId);
      flow.renew();
    }
    const hopeless = sent.filter(({ attempts }) => attempts >= this.#maximumAttempts);
    this.#waiting = new Set([...sent.filter((flow) => !hopeless.includes(flow)), ...this.#waiting]);
    for (const flow of hopeless) {
      this.#fail(
        flow,
        new ClientError(
          `Gave up to ${
            describe(flow)
          }: the connection broke after each of its ${flow.attempts} sendings, the broker may ` +
            "not accept it (see max_publish_attempts)",
        ),
      );
    }
  }

  /** Fails everything that is not answered. */
  end(error: unknown): void {
    this.linkLost();
    const flows = [...this.#waiting];
    this.#waiting.clear();
    for (const flow of flows) flow.waiter.fail(error);
  }

  /** Forgets what was granted. */
  reset(): void {
    this.subscriptions.clear();
  }
}

function identified(packet: SubscribePacket, subscriptionIdentifier: number | undefined): SubscribePacket {
  if (subscriptionIdentifier === undefined) return packet;
  return { ...packet, properties: { ...packet.properties, subscriptionIdentifier } };
}

function describe(flow: RequestFlow): string {
  const subscribes = flow instanceof SubscribeFlow;
  const filters = subscribes
    ? flow.packet.subscriptions.map(({ topicFilter }) => topicFilter)
    : flow.packet.topicFilters;
  const names = filters.map((filter) => `"${filter}"`).join(", ");
  return `${subscribes ? "subscribe to" : "unsubscribe from"} ${names}`;
}
