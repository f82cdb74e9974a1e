import type { ApplicationMessage } from "../message.ts";
import { TopicFilterTree } from "../topic_filter_tree.ts";
import type { SubscriptionIdentifiers } from "../session/subscription_identifiers.ts";
import { MessageQueue } from "./message_queue.ts";

/** What takes messages as they come; a promise it returns is waited for before the next. */
export type MessageHandler = (message: ApplicationMessage) => void | Promise<void>;

/** The messages that match a topic filter. */
export interface Route extends AsyncIterableIterator<ApplicationMessage> {
  /** Ends it when the messages that have come by now are taken. */
  finish(): void;
}

/** A queue for the messages that match a topic filter. */
interface RouteQueue {
  filter: string;
  queue: MessageQueue;
  /** Lets the signal go that would end it. */
  release(): void;
}

/** For so many topics it is remembered which routes they take. */
const REMEMBERED_TOPICS = 10_000;

/** Where received messages go: to the routes that match, else to the handler, else to the queue. */
export class Inbox {
  /** The messages that no route takes and no handler. */
  readonly queue: MessageQueue;
  /** The messages for the handler, which it has not got yet. */
  readonly #unhandled: MessageQueue;
  readonly #limit: number;
  readonly #identifiers: Pick<SubscriptionIdentifiers, "concerns" | "version">;
  readonly #routes = new Set<RouteQueue>();
  readonly #routesByFilter = new TopicFilterTree<RouteQueue>();
  /** By topic, or by identifiers and topic for messages that carry any. */
  readonly #routesOfTopic = new Map<string, readonly RouteQueue[]>();
  #identifiersVersion = 0;
  #handler: MessageHandler | null = null;
  /** Whether the handler's promise is pending. */
  #handling = false;
  #fullQueues = 0;
  /** What all waiting ended with, until it is taken up again. */
  #end: { error: unknown; regular: boolean } | undefined;
  #room: PromiseWithResolvers<void> | undefined;

  /** Takes how many messages a queue holds before it counts as full, and what tells which messages a filter is for. */
  constructor(limit: number, identifiers: Pick<SubscriptionIdentifiers, "concerns" | "version">) {
    this.#limit = limit;
    this.#identifiers = identifiers;
    this.queue = this.#newQueue(limit);
    this.#unhandled = this.#newQueue(limit);
  }

  /** Messages received and not taken, in all queues. */
  get length(): number {
    let length = this.queue.length + this.#unhandled.length;
    for (const { queue } of this.#routes) length += queue.length;
    return length;
  }

  /** Whether a queue is full, so that no more should be received. */
  get full(): boolean {
    return this.#fullQueues > 0;
  }

  get handler(): MessageHandler | null {
    return this.#handler;
  }

  set handler(handler: MessageHandler | null) {
    this.#handler = handler;
    const [from, to] = handler === null ? [this.#unhandled, this.queue] : [this.queue, this.#unhandled];
    for (let message = from.shift(); message !== undefined; message = from.shift()) to.push(message);
    if (!this.#handling) this.#handleQueued();
  }

  /** Takes a message, and the subscription identifiers that it came with. */
  deliver(message: ApplicationMessage, subscriptionIdentifiers?: readonly number[]): void {
    if (this.#routes.size > 0) {
      const routes = this.#routesFor(message.topic, subscriptionIdentifiers);
      for (const { queue } of routes) queue.push(message);
      if (routes.length > 0) return;
    }
    if (this.#handler === null) this.queue.push(message);
    else if (this.#handling || this.#unhandled.length > 0) this.#unhandled.push(message);
    else this.#handle(this.#handler, message);
  }

  #routesFor(topic: string, identifiers: readonly number[] | undefined): readonly RouteQueue[] {
    const { version } = this.#identifiers;
    if (this.#identifiersVersion !== version) this.#routesOfTopic.clear();
    this.#identifiersVersion = version;
    const key = identifiers === undefined ? topic : `${identifiers}\0${topic}`;
    let routes = this.#routesOfTopic.get(key);
    if (routes === undefined) {
      routes = this.#routesByFilter.match(topic);
      if (identifiers !== undefined) {
        routes = routes.filter(({ filter }) => this.#identifiers.concerns(topic, identifiers, filter));
      }
      if (this.#routesOfTopic.size >= REMEMBERED_TOPICS) this.#routesOfTopic.clear();
      this.#routesOfTopic.set(key, routes);
    }
    return routes;
  }

  #handle(handler: MessageHandler, message: ApplicationMessage): void {
    this.#handling = true;
    try {
      const handled = handler(message);
      if (handled instanceof Promise) return void this.#wait(handled);
    } catch (error) {
      reportError(error);
    }
    this.#handling = false;
  }

  async #wait(handled: Promise<void>): Promise<void> {
    try {
      await handled;
    } catch (error) {
      reportError(error);
    }
    this.#handling = false;
    this.#handleQueued();
  }

  #handleQueued(): void {
    while (this.#handler !== null && !this.#handling) {
      const message = this.#unhandled.shift();
      if (message === undefined) return;
      this.#handle(this.#handler, message);
    }
  }

  /** Gives the messages that match `filter` from now on, in a queue of their own. */
  route(filter: string, limit: number = this.#limit, signal?: AbortSignal): Route {
    const queue = this.#newQueue(limit);
    const abort = () => {
      leave();
      queue.end(signal?.reason, false);
    };
    const route: RouteQueue = { filter, queue, release: () => signal?.removeEventListener("abort", abort) };
    const detach = () => {
      route.release();
      this.#routes.delete(route);
      this.#routesByFilter.remove(filter, route);
      this.#routesOfTopic.clear();
    };
    const leave = () => {
      detach();
      queue.clear();
    };
    const finish = () => {
      detach();
      queue.end(undefined, true);
    };
    this.#routes.add(route);
    this.#routesByFilter.add(filter, route);
    this.#routesOfTopic.clear();
    if (this.#end !== undefined) queue.end(this.#end.error, this.#end.regular);
    if (signal?.aborted) abort();
    else signal?.addEventListener("abort", abort);
    return Object.assign(queue.iterator(leave), { finish });
  }

  #newQueue(limit: number): MessageQueue {
    return new MessageQueue(limit, (full) => {
      this.#fullQueues += full ? 1 : -1;
      if (this.#fullQueues === 0) this.wake();
    });
  }

  /** Notes that whoever takes from a full queue is slow. */
  slowDown(): void {
    for (const queue of this.#queues()) queue.slowDown();
  }

  /** Notes that nobody is slow any more. */
  speedUp(): void {
    for (const queue of this.#queues()) queue.speedUp();
  }

  #queues(): MessageQueue[] {
    return [this.queue, this.#unhandled, ...[...this.#routes].map(({ queue }) => queue)];
  }

  /** Ends the waiting for room. */
  wake(): void {
    this.#room?.resolve();
    this.#room = undefined;
  }

  /** Waits until no queue is full, or {@linkcode wake} is called. */
  room(): Promise<void> {
    if (!this.full) return Promise.resolve();
    this.#room ??= Promise.withResolvers();
    return this.#room.promise;
  }

  /** Takes messages again after {@linkcode end}. */
  reopen(): void {
    this.#end = undefined;
    this.queue.reopen();
    for (const { queue } of this.#routes) queue.reopen();
  }

  /** Ends all waiting, and the routes; a regular end is one to iterators, to others it is the error. */
  end(error: unknown, regular: boolean): void {
    this.#end = { error, regular };
    this.queue.end(error, regular);
    for (const { queue, release } of this.#routes) {
      queue.end(error, regular);
      release();
    }
    this.#routes.clear();
    this.#routesByFilter.clear();
    this.#routesOfTopic.clear();
  }
}
