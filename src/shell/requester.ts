import { abortable } from "@std/async";
import { ClientError } from "../errors.ts";
import type { ApplicationMessage } from "../message.ts";
import type { PublishPacket, SubscribePacket } from "../packets.ts";
import { NO_PROPERTIES } from "../properties.ts";
import { rejection } from "../reason_codes.ts";
import type { Subscriptions } from "../session/subscriptions.ts";
import { LONGEST_TIMER } from "../timer.ts";
import { topicFault } from "../topic.ts";

/** What sends for a requester. */
interface Sender {
  publish(packet: PublishPacket, signal: AbortSignal): Promise<ApplicationMessage>;
  subscribe(packet: SubscribePacket): Promise<number[]>;
}

/** What a connection says about response topics. */
export interface Peer {
  /** Whether a message may carry a response topic and correlation data. */
  readonly hasResponseTopics: boolean;
  readonly clientId: string;
  /** What the broker would have response topics begin with. */
  readonly responseInformation: string | undefined;
}

const ignore = () => {};

const latin1 = new TextDecoder("latin1");

/** Sends requests and hands out their responses (MQTT 5.0, §4.10). */
export class Requester {
  readonly #sender: Sender;
  readonly #subscriptions: Pick<Subscriptions, "has">;
  /** What the last connection said, and those who wait for the first to say it. */
  #peer: Peer | undefined;
  #up = Promise.withResolvers<Peer>();
  /** The topics that were subscribed to for responses: as long as they are, all messages on them are such. */
  readonly #topics = new Set<string>();
  readonly #subscribing = new Map<string, Promise<void>>();
  /** Those who wait for a response, in the order of their requests, by what tells it apart. */
  readonly #waiting = new Map<string, Set<PromiseWithResolvers<ApplicationMessage>>>();
  /** What ends each request that is under way. */
  readonly #requests = new Set<AbortController>();

  constructor(sender: Sender, subscriptions: Pick<Subscriptions, "has">) {
    this.#sender = sender;
    this.#subscriptions = subscriptions;
  }

  /** Requests without a response. */
  get waiting(): number {
    return this.#requests.size;
  }

  /** Begins on a new connection. */
  connected(peer: Peer): void {
    this.#peer = peer;
    this.#up.resolve(peer);
    // What is not restored, or was refused, is asked for again.
    for (const topic of this.#topics) if (!this.#subscriptions.has(topic)) this.#subscribe(topic);
  }

  /** Takes a message if it is a response, whether anybody waits for it or not. */
  take(message: ApplicationMessage): boolean {
    if (this.#topics.size === 0 || !this.#topics.has(message.topic)) return false;
    if (!this.#subscriptions.has(message.topic)) return false;
    const { topic, retain, properties: { correlationData } } = message;
    message.ack();
    // A retained message is older than the subscription, and so than the request.
    if (!retain) this.#respond(keyOf(topic, correlationData), message);
    return true;
  }

  #respond(key: string, response: ApplicationMessage): void {
    for (const waiter of this.#waiting.get(key) ?? []) {
      this.#forget(key, waiter);
      return waiter.resolve(response);
    }
  }

  #forget(key: string, waiter: PromiseWithResolvers<ApplicationMessage>): void {
    const waiters = this.#waiting.get(key);
    waiters?.delete(waiter);
    if (waiters?.size === 0) this.#waiting.delete(key);
  }

  /**
   * Sends a request and gives its response, after `timeout` seconds at the latest.
   *
   * @throws {DOMException} `TimeoutError` If none has come by then.
   * @throws The signal's reason, if it aborts; what the publish or the subscription to the response topic fails with; the error of
   * {@linkcode end}.
   */
  async request(packet: PublishPacket, timeout?: number, signal?: AbortSignal): Promise<ApplicationMessage> {
    signal?.throwIfAborted();
    const controller = new AbortController();
    const abort = () => controller.abort(signal?.reason);
    const expire = () => {
      const message = `No response to the request to "${packet.topic}" came within ${timeout} s`;
      controller.abort(new DOMException(message, "TimeoutError"));
    };
    const timed = timeout !== undefined && timeout <= LONGEST_TIMER;
    const timer = timed ? setTimeout(expire, timeout * 1000) : undefined;
    signal?.addEventListener("abort", abort);
    this.#requests.add(controller);
    try {
      return await this.#exchange(packet, controller.signal);
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
      this.#requests.delete(controller);
    }
  }

  async #exchange(packet: PublishPacket, signal: AbortSignal): Promise<ApplicationMessage> {
    const peer = this.#peer ?? await abortable(this.#up.promise, signal);
    signal.throwIfAborted();
    const responseTopic = packet.properties.responseTopic ?? (peer.hasResponseTopics ? ownTopic(peer) : undefined);
    if (responseTopic === undefined) {
      throw new ClientError(
        `Cannot request "${packet.topic}": in MQTT 3.1.1 a request cannot say where to respond to; give ` +
          "properties.responseTopic, on which the responder is known to respond",
      );
    }
    const subscribing = this.#subscribing.get(responseTopic);
    if (subscribing !== undefined) await abortable(subscribing, signal);
    else if (!this.#subscriptions.has(responseTopic)) await abortable(this.#subscribe(responseTopic), signal);
    this.#topics.add(responseTopic);
    const { correlationData = crypto.getRandomValues(new Uint8Array(16)) } = packet.properties;
    const properties = { ...packet.properties, responseTopic, correlationData };
    const key = keyOf(responseTopic, peer.hasResponseTopics ? correlationData : undefined);
    return await this.#publish({ ...packet, properties }, key, signal);
  }

  async #publish(packet: PublishPacket, key: string, signal: AbortSignal): Promise<ApplicationMessage> {
    const waiter = Promise.withResolvers<ApplicationMessage>();
    const waiters = this.#waiting.get(key);
    if (waiters === undefined) this.#waiting.set(key, new Set([waiter]));
    else waiters.add(waiter);
    try {
      this.#sender.publish(packet, signal).catch(waiter.reject);
      return await abortable(waiter.promise, signal);
    } finally {
      this.#forget(key, waiter);
    }
  }

  /** Subscribes to a response topic, once for all who ask at the same time. */
  #subscribe(topic: string): Promise<void> {
    const subscribed = this.#sendSubscribe(topic).finally(() => this.#subscribing.delete(topic));
    subscribed.catch(ignore); // Whoever has asked may not wait any more.
    this.#subscribing.set(topic, subscribed);
    return subscribed;
  }

  async #sendSubscribe(topicFilter: string): Promise<void> {
    const [reasonCode] = await this.#sender.subscribe({
      type: "SUBSCRIBE",
      packetId: 0,
      // Each response comes as it was published, and none that is older than the subscription.
      subscriptions: [{ topicFilter, qos: 2, noLocal: false, retainAsPublished: false, retainHandling: 2 }],
      properties: NO_PROPERTIES,
    });
    if (reasonCode < 0x80) return void this.#topics.add(topicFilter);
    this.#topics.delete(topicFilter);
    throw rejection(`The broker refused the subscription to the response topic "${topicFilter}"`, reasonCode);
  }

  /** Fails everything that waits for a response: there will be no next connection. */
  end(error: unknown): void {
    this.#peer = undefined;
    this.#up = Promise.withResolvers();
    this.#topics.clear();
    for (const controller of this.#requests) controller.abort(error);
  }
}

/** Gives the topic on which a client gets its responses where it is not told another. */
function ownTopic({ clientId, responseInformation }: Peer): string {
  // As one level without wildcards; it has to be short rather than unique, since correlation data tells the responses apart.
  const level = encodeURIComponent(clientId).slice(0, 1000);
  const suggested = responseInformation && `${responseInformation.replace(/\/$/, "")}/${level}`;
  return suggested && topicFault(suggested) === undefined ? suggested : `responses/${level}`;
}

function keyOf(topic: string, correlationData: Uint8Array | undefined): string {
  return correlationData === undefined ? topic : `${topic}\0${latin1.decode(correlationData)}`;
}
