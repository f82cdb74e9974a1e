import { abortable, delay } from "@std/async";
import type { Dialect } from "../codec/dialect.ts";
import type { Endpoint } from "../endpoint.ts";
import {
  ClientError,
  ConnectError,
  ConnectionLostError,
  type ConnectionLostErrorOptions,
  messageOf,
  MQTTError,
  ProtocolError,
} from "../errors.ts";
import { type Stats, Traffic } from "../observe/stats.ts";
import { ApplicationMessage } from "../message.ts";
import type {
  AuthPacket,
  ConnackPacket,
  Packet,
  PublishPacket,
  SubscribePacket,
  UnsubscribePacket,
} from "../packets.ts";
import type { Properties } from "../properties.ts";
import { describeRefusal, PERMANENT_REFUSALS, REDIRECTIONS } from "../reason_codes.ts";
import type { Effects } from "../session/effects.ts";
import { Flow, type PublishFlow } from "../session/flow.ts";
import { type CancellableFlow, Session, type SessionOptions } from "../session/session.ts";
import { connectError } from "../transport/connect_error.ts";
import type { SessionStore } from "../store/session_store.ts";
import { LONGEST_TIMER } from "../timer.ts";
import { backoff } from "./backoff.ts";
import { connectPacket, type ConnectPlan, credentialsFault, credentialsOf, openTransport } from "./connect_plan.ts";
import { Connection, type ConnectionListener, type ConnectionOptions } from "./connection.ts";
import { Inbox } from "./inbox.ts";
import { Itinerary } from "./itinerary.ts";
import { Requester } from "./requester.ts";
import { type StoreListener, StoreWriter } from "./store_writer.ts";
import { before, now, PromiseWaiter, unlessAborted, within } from "./waiting.ts";

/** What a broker asks in the course of an enhanced authentication (MQTT 5.0, §4.12). */
export interface AuthChallenge {
  /** The authentication method. */
  method: string;
  /** What the method has the broker say; `undefined` where it says nothing. */
  data: Uint8Array | undefined;
  /** All properties of the broker's AUTH. */
  properties: Properties;
}

/** Answers a challenge with what the method has the client say. */
export type AuthHandler = (challenge: AuthChallenge) => Uint8Array | Promise<Uint8Array>;

/** What holds for all connections of a client. Durations are in seconds. */
export interface DriverOptions extends SessionOptions, Omit<ConnectionOptions, "dialect"> {
  /** At least one; the next is tried with a broker that refuses the one before. */
  dialects: readonly Dialect[];
  maxQueuedMessages: number;
  connectTimeout: number;
  autoReconnect: boolean;
  /** Negative: no end. */
  reconnectRetries: number;
  reconnectMaxInterval: number;
  /** How many times in a row the client goes where a broker sends it. */
  followRedirects: number;
  onAuth: AuthHandler | undefined;
  /** Where the session is kept, and as whose: the Client Identifier before the broker has assigned any; by default in memory. */
  store: SessionStore | undefined;
  clientId: string;
}

/** What a driver tells. */
export interface DriverListener {
  /** The broker has answered CONNECT, whatever it says. */
  answered(connack: ConnackPacket): void;
  connected(connack: ConnackPacket, endpoint: Endpoint): void;
  disconnected(error: unknown, willReconnect: boolean): void;
  reconnecting(attempt: number, delay: number): void;
}

/** Sees every packet, in the order of the wire. */
export type PacketObserver = (direction: "in" | "out", packet: Packet) => void;

/**
 * Where the link is: not wanted (`idle`), on its way (`connecting`), up (`connected`), between two attempts (`waiting`), on its way
 * down for good (`closing`).
 */
export type LinkState = "idle" | "connecting" | "connected" | "waiting" | "closing";

/** The time from `connect()` or `reconnect()` to the end. */
interface Life {
  /** What ends it. */
  readonly controller: AbortController;
  /** Whether another takes over its work. */
  replaced: boolean;
  /** Whether it has had a link, so that every further one restores it. */
  restores: boolean;
  /** Whether it or the one whose work it took over has had a link. */
  wasUp: boolean;
}

const ignore = () => {};

/** How long flushing and the broker's end of the connection, and then the store's end, are waited for when disconnecting, beside what is left of `drain`, in seconds. */
const FAREWELL = 1;

/** How long a full queue may lie untouched while calls wait for answers before these are taken to wait for each other, in seconds. */
const PATIENCE = 0.5;

/** How many bytes messages may take at the most that are read past a full queue, and about how many each takes beside its packet. */
const MOST_READ_PAST = 64 * 1024 * 1024;
const MESSAGE_OVERHEAD = 256;

/** Whoever leaves a queue full for longer than this is slow, in seconds; nobody is any more after so many shorter pauses. */
const SLOW = 0.0005;
const MANY_SHORT_PAUSES = 100;

/** A packet that is smaller than this on average is small, in bytes. */
const SMALL_PACKET = 256;

/** Performs what a {@linkcode Session} asks for: the only place that waits. */
export class Driver implements Effects, ConnectionListener, StoreListener {
  readonly inbox: Inbox;
  readonly requester: Requester;
  /** Called with every packet while set. */
  packetObserver: PacketObserver | undefined;
  readonly #options: DriverOptions;
  readonly #listener: DriverListener;
  readonly #session: Session;
  readonly #traffic = new Traffic();
  readonly #itinerary: Itinerary;
  #state: LinkState = "idle";
  /** Why calls are refused while the state is `idle`. */
  #refusal = "Not connected: call connect() first";
  #plan: ConnectPlan | undefined;
  #life: Life | undefined;
  #running: Promise<void> = Promise.resolve();
  /** While `reconnect()` ends the connection that is up. */
  #farewell: Promise<void> | undefined;
  #closing: Promise<void> = Promise.resolve();
  /** Those who wait for the link to be up. */
  #connecting = new Set<PromiseWithResolvers<ConnackPacket>>();
  #connection: Connection | undefined;
  /** What those wait for who have filled the write buffer. */
  #becomesWritable: PromiseWithResolvers<void> | undefined;
  /** Stores the session while it is open in the store. */
  #writer: StoreWriter | undefined;
  /** While the store takes time to open the session, and to let go of it; the latter never rejects. */
  #restoring: Promise<void> | undefined;
  #storeClosing: Promise<void> | undefined;
  /** The publishes of a former process that are not settled, and those who wait for that. */
  readonly #restored = new Set<PublishFlow>();
  readonly #draining = new Set<PromiseWithResolvers<void>>();
  /** Where it is connected to, or was last. */
  #endpoint: Endpoint | undefined;
  /** Resolves with what broke the connection when it is gone; it never rejects. */
  #linkLost: Promise<unknown> = Promise.resolve();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #timerDeadline = Infinity;
  #onPublishesSettled: (() => void) | undefined;
  #reconnects = 0;
  #patience: ReturnType<typeof setTimeout> | undefined;
  #shortPauses = 0;
  /** Whether the application takes no messages until its calls are answered: the answers stand behind the messages that it does not take. */
  #coupled = false;

  constructor(options: DriverOptions, listener: DriverListener) {
    this.#options = options;
    this.#listener = listener;
    this.#session = new Session(this, options);
    this.#itinerary = new Itinerary(options.dialects, options.followRedirects);
    this.inbox = new Inbox(options.maxQueuedMessages, this.#session.subscriptions.identifiers);
    this.requester = new Requester(this, this.#session.subscriptions);
  }

  get state(): LinkState {
    return this.#state;
  }

  get #thePlan(): ConnectPlan {
    if (this.#plan === undefined) throw new ClientError("Cannot connect without a plan");
    return this.#plan;
  }

  get stats(): Stats {
    const { inFlight, queuedPublishes, roundTrip } = this.#session;
    const queuedMessages = this.inbox.length;
    return { ...this.#traffic, inFlight, queuedPublishes, queuedMessages, reconnects: this.#reconnects, roundTrip };
  }

  // The commands.

  async connect(plan: ConnectPlan, signal?: AbortSignal): Promise<ConnackPacket> {
    if (this.#state !== "idle") throw new ClientError(ALREADY[this.#state]);
    signal?.throwIfAborted();
    // What was restored from the store meanwhile counts as this session.
    if (this.#writer === undefined || plan.cleanStart) this.#session.forgetSubscriptions();
    if (plan.cleanStart) this.#writer?.forget();
    this.#plan = plan;
    return await this.#begin(signal);
  }

  async reconnect(cleanStart?: boolean, signal?: AbortSignal): Promise<ConnackPacket> {
    if (this.#plan === undefined) throw new ClientError("Cannot reconnect before connect()");
    if (this.#state === "closing") throw new ClientError(ALREADY.closing);
    signal?.throwIfAborted();
    if (cleanStart !== undefined) this.#plan = { ...this.#plan, cleanStart };
    const life = this.#life;
    if (life === undefined) return await this.#begin(signal);
    if (life.replaced) return await this.#linkUp(life, signal);
    const wasConnected = this.#state === "connected";
    life.replaced = true;
    this.#state = "connecting";
    if (wasConnected) await (this.#farewell = this.#sayFarewell(0, 0, {}));
    this.#farewell = undefined;
    life.controller.abort();
    await this.#running;
    // A listener may have ended it.
    if (this.#isClosing() || this.#life !== life) throw new ClientError(ALREADY.closing);
    const up = this.#begin(signal, life.wasUp);
    if (wasConnected) this.#listener.disconnected(undefined, true);
    return await up;
  }

  /** Starts to connect, and keeps connected until the end. */
  #begin(signal: AbortSignal | undefined, wasUp = false): Promise<ConnackPacket> {
    const life: Life = { controller: new AbortController(), replaced: false, restores: false, wasUp };
    this.#life = life;
    this.#state = "connecting";
    this.inbox.reopen();
    const up = this.#linkUp(life, signal);
    this.#running = this.#run(life);
    return up;
  }

  /** Waits for the link to be up. The signal ends the life that it began with, or the waiting alone where another has taken over. */
  async #linkUp(life: Life, signal: AbortSignal | undefined): Promise<ConnackPacket> {
    const waiter = Promise.withResolvers<ConnackPacket>();
    const abort = () => {
      if (!this.#connecting.has(waiter)) return; // The link is up.
      if (!life.replaced) return life.controller.abort(signal?.reason);
      this.#connecting.delete(waiter);
      waiter.reject(signal?.reason);
    };
    this.#connecting.add(waiter);
    signal?.addEventListener("abort", abort);
    if (signal?.aborted) abort();
    try {
      return await waiter.promise;
    } finally {
      signal?.removeEventListener("abort", abort);
    }
  }

  disconnect(drain: number, reasonCode: number, properties: Properties): Promise<void> {
    if (this.#state === "idle") {
      const error = new ClientError("The client was disconnected by disconnect()");
      this.inbox.end(error, true);
      this.#letGo(error);
      return before(now() + drain + FAREWELL, this.#storeClosing);
    }
    if (this.#state !== "closing") this.#closing = this.#close(drain, reasonCode, properties);
    return this.#closing;
  }

  async #close(drain: number, reasonCode: number, properties: Properties): Promise<void> {
    const wasConnected = this.#state === "connected";
    const drained = now() + drain;
    this.#state = "closing";
    if (wasConnected) await this.#sayFarewell(drain, reasonCode, properties);
    else if (this.#farewell !== undefined) await this.#farewell;
    const message = "The client was disconnected by disconnect()";
    this.#life?.controller.abort(new ClientError(message));
    await this.#running;
    const deadline = Math.max(drained, now()) + FAREWELL;
    const outcome = await this.#stored(deadline)
      ? "the session store keeps the publishes that are not settled"
      : "the session store does not answer";
    this.#end(new ClientError(this.#writer?.isOpen ? `${message}; ${outcome}` : message), true);
    await before(deadline, this.#storeClosing);
  }

  #isClosing(): boolean {
    return this.#state === "closing";
  }

  /** Ends a connection in good order: publishes settled, everything written, DISCONNECT, and the broker's end of it. */
  async #sayFarewell(drain: number, reasonCode: number, properties: Properties): Promise<void> {
    const connection = this.#connection;
    if (connection === undefined) return;
    await undefined; // A listener may have interrupted what is being sent.
    const deadline = now() + drain + FAREWELL;
    if (drain > 0 && !this.#publishesSettled) {
      const settled = new Promise<void>((resolve) => this.#onPublishesSettled = resolve);
      await within(drain, [settled, this.#linkLost]);
      this.#onPublishesSettled = undefined;
    }
    this.#session.disconnect(reasonCode, properties);
    await this.#stored(deadline);
    // Closing with bytes unread would reset the connection, and the broker might lose what it has not read yet.
    const ended = connection.end().then(() => within(FAREWELL, [this.#linkLost]));
    await before(deadline, Promise.race([ended, this.#linkLost]));
    connection.close();
  }

  publish(packet: PublishPacket, signal?: AbortSignal): Promise<ApplicationMessage> {
    try {
      this.#checkUsable(signal);
      const { messageExpiryInterval } = packet.properties;
      const expiresAt = messageExpiryInterval === undefined ? undefined : now() + messageExpiryInterval;
      const participant = this.inTransaction ? this.#participant("publish") : undefined;
      const flow = this.#session.publish(packet, expiresAt, participant !== undefined);
      if (flow === undefined) return this.#whenWritable(new ApplicationMessage(packet), signal);
      if (participant !== undefined) participant.published(flow);
      if (expiresAt !== undefined) this.#arm();
      return this.#promise(flow, flow, signal);
    } catch (error) {
      return this.refusePublish(error);
    }
  }

  /** Gives a message of QoS 0 that was sent, when the write buffer takes more. */
  #whenWritable(message: ApplicationMessage, signal?: AbortSignal): Promise<ApplicationMessage> {
    if (this.#session.hasRoom) return Promise.resolve(message);
    const { promise } = this.#becomesWritable ??= Promise.withResolvers<void>();
    if (signal === undefined) return promise.then(() => message);
    const flow = new Flow<ApplicationMessage>();
    promise.then(() => flow.waiter.settle(message));
    return this.#promise(flow, flow, signal);
  }

  /** Rejects a publish. In a transaction it throws, since what that stores beside it must not be committed without it. */
  refusePublish(error: unknown): Promise<never> {
    if (this.inTransaction) throw error;
    return rejected(error);
  }

  subscribe(packet: SubscribePacket, signal?: AbortSignal): Promise<number[]> {
    return this.#request(() => this.#session.subscribe(packet), signal);
  }

  unsubscribe(packet: UnsubscribePacket, signal?: AbortSignal): Promise<number[]> {
    return this.#request(() => this.#session.unsubscribe(packet), signal);
  }

  ping(signal?: AbortSignal): Promise<void> {
    return this.#request(() => this.#session.ping(now()), signal);
  }

  /** Has the broker authenticate the client once more; the next connection does it by itself. */
  async reauthenticate(signal?: AbortSignal): Promise<void> {
    this.#checkUsable(signal);
    if (this.#thePlan.properties.authenticationMethod === undefined) {
      throw new ClientError("Cannot re-authenticate: the configuration has no authentication_method");
    }
    const data = this.#state === "connected" ? await this.#authenticationData(signal) : undefined;
    await this.#request(() => this.#session.reauthenticate(data), signal);
  }

  /** Gives what the authentication method has the client say first. */
  async #authenticationData(signal: AbortSignal | undefined): Promise<Uint8Array | undefined> {
    const plan = this.#thePlan, endpoint = this.#endpoint;
    const asking = (async () => endpoint && await plan.credentials(endpoint))();
    let credentials;
    try {
      credentials = await (signal === undefined ? asking : abortable(asking, signal));
    } catch (cause) {
      signal?.throwIfAborted();
      throw new ClientError(`Cannot re-authenticate: credentials() failed: ${messageOf(cause)}`, { cause });
    }
    const fault = credentials && credentialsFault(credentials);
    if (fault !== undefined) throw new ClientError(`Cannot re-authenticate: cannot send ${fault}`);
    return credentials?.authenticationData ?? plan.properties.authenticationData;
  }

  #request<Result>(start: () => CancellableFlow & Flow<Result>, signal?: AbortSignal): Promise<Result> {
    try {
      this.#checkUsable(signal);
      const flow = start();
      this.#arm();
      return this.#promise(flow, flow, signal);
    } catch (error) {
      return rejected(error);
    }
  }

  /** Rejects as every call does while the state is `idle`. */
  refuse(): Promise<never> {
    return rejected(new ClientError(this.#refusal));
  }

  /** Throws if calls are refused now. */
  #checkUsable(signal: AbortSignal | undefined): void {
    if (this.#state === "idle") throw new ClientError(this.#refusal);
    if (this.#state === "closing") throw new ClientError(ALREADY.closing);
    if (signal !== undefined) signal.throwIfAborted();
  }

  /** Makes the promise of a flow's outcome. */
  #promise<Result>(flow: Flow<Result>, cancellable?: CancellableFlow, signal?: AbortSignal): Promise<Result> {
    if (this.#coupled) this.inbox.wake();
    const waiter = flow.waiter = new PromiseWaiter<Result>();
    if (signal !== undefined && cancellable !== undefined) this.#cancelOnAbort(flow, cancellable, signal);
    return waiter.promise;
  }

  #cancelOnAbort<Result>(flow: Flow<Result>, cancellable: CancellableFlow, signal: AbortSignal): void {
    const { waiter } = flow;
    const abort = () => {
      this.#session.cancel(cancellable);
      waiter.fail(signal.reason);
    };
    const letGo = () => signal.removeEventListener("abort", abort);
    signal.addEventListener("abort", abort, { once: true });
    flow.waiter = {
      settle(result) {
        letGo();
        waiter.settle(result);
      },
      fail(error) {
        letGo();
        waiter.fail(error);
      },
    };
    // A listener may have aborted it when the packet went out.
    if (signal.aborted) abort();
  }

  // The effects of the session.

  send(packet: Packet): number {
    return this.#writer === undefined ? this.release(packet) : this.#writer.send(packet);
  }

  release(packet: Packet): number {
    const connection = this.#connection;
    if (connection === undefined) return 0;
    const room = connection.send(packet);
    // What the observer itself sends goes behind the packet that it observes.
    if (this.packetObserver !== undefined) this.packetObserver("out", packet);
    return room;
  }

  sizeOf(packet: Packet): number {
    return this.#connection?.sizeOf(packet) ?? 0;
  }

  deliver(message: ApplicationMessage, subscriptionIdentifiers: readonly number[] | undefined): void {
    if (!this.requester.take(message)) this.inbox.deliver(message, subscriptionIdentifiers);
  }

  random(this: void): number {
    return Math.random();
  }

  async challenge({ properties }: AuthPacket): Promise<void> {
    const connection = this.#connection;
    const { authenticationMethod: method = "", authenticationData: data } = properties;
    try {
      const { onAuth } = this.#options;
      if (onAuth === undefined) throw new ClientError("there is no onAuth to answer it");
      const answer = await onAuth({ method, data, properties });
      if (!(answer instanceof Uint8Array)) throw new TypeError("onAuth() must give a Uint8Array");
      if (answer.length > 65_535) throw new RangeError(`onAuth() gave ${answer.length} bytes: 65,535 are allowed`);
      if (connection === this.#connection) this.#session.authenticate(answer);
    } catch (cause) {
      const message = `Cannot answer the broker's challenge to authenticate (${method}): ${messageOf(cause)}`;
      connection?.close(new ConnectError(message, { cause, permanent: true }));
    }
  }

  get inTransaction(): boolean {
    return this.#options.store?.inTransaction ?? false;
  }

  holdAcknowledgement(message: ApplicationMessage): void {
    this.#participant("acknowledge").acknowledged(message);
  }

  /** Gives what takes part in the transaction that is under way; throws if nothing does. */
  #participant(action: string): StoreWriter {
    if (this.#writer?.isOpen) return this.#writer;
    throw new ClientError(`Cannot ${action} in a transaction: the session is not open in the store`);
  }

  publishChanged(flow: PublishFlow): void {
    if (this.#writer !== undefined) this.#writer.note((journal) => journal.publishChanged(flow));
  }

  received(packetId: number): void {
    if (this.#writer !== undefined) this.#writer.note((journal) => journal.received(packetId));
  }

  completed(packetId: number): void {
    if (this.#writer !== undefined) this.#writer.note((journal) => journal.completed(packetId));
  }

  receivedForgotten(): void {
    this.#writer?.note((journal) => journal.forget("received"));
  }

  subscriptionChanged(topicFilter: string): void {
    this.#writer?.note((journal) => journal.subscriptionChanged(topicFilter));
  }

  // What the writer to the store tells.

  released(): void {
    this.#wakePublishers();
    this.#session.writable(now());
  }

  revoke(flow: PublishFlow, error: unknown): void {
    this.#session.revoke(flow, error);
  }

  fail(error: unknown): void {
    this.#connection?.close(error);
  }

  acknowledge(message: ApplicationMessage): void {
    this.#session.acknowledgeProcessed(message);
  }

  sendHeld(): void {
    this.#session.sendHeld(now());
  }

  // What the connection tells.

  written(all: boolean): void {
    this.#session.written(now(), all);
    this.#checkPublishesSettled();
  }

  writable(): void {
    this.#writer?.writable();
    this.#wakePublishers();
    this.#session.writable(now());
    this.#checkPublishesSettled();
  }

  #wakePublishers(): void {
    this.#becomesWritable?.resolve();
    this.#becomesWritable = undefined;
  }

  /** Whether every publish is acknowledged, and nobody waits for the write buffer. */
  get #publishesSettled(): boolean {
    return this.#session.publishesSettled && this.#session.hasRoom;
  }

  #checkPublishesSettled(): void {
    if (this.#onPublishesSettled !== undefined && this.#publishesSettled) this.#onPublishesSettled();
  }

  /** Wakes the reading if it waits for room. */
  closed(): void {
    this.inbox.wake();
  }

  // The session in the store.

  /** The publishes of a former process that are not settled. Where the store gives them at once they are known before the first `connect()`. */
  pending(): PublishFlow[] {
    if (this.#state === "idle") this.#restore(false)?.catch(ignore);
    return [...this.#restored];
  }

  /** Waits until these are settled. */
  async drained(): Promise<void> {
    this.pending();
    if (this.#restoring === undefined && this.#restored.size === 0) return;
    const waiter = Promise.withResolvers<void>();
    this.#draining.add(waiter);
    await waiter.promise;
  }

  /** Opens the session in the store, if there is one and it is not open, and takes up what a former process has left. */
  #restore(clean: boolean): Promise<void> | undefined {
    const { store, clientId } = this.#options;
    if (store === undefined || this.#writer !== undefined) return this.#restoring;
    this.#writer = new StoreWriter(store, this);
    try {
      const flows = this.#writer.open(clientId, this.#session, clean, this.#storeClosing);
      if (flows instanceof Promise) return this.#restoring = this.#restoreLate(flows);
      this.#takeUp(flows);
    } catch (error) {
      this.#closeStore();
      throw error;
    }
  }

  async #restoreLate(flows: Promise<PublishFlow[]>): Promise<void> {
    const writer = this.#writer;
    try {
      const restored = await flows;
      if (writer !== this.#writer) return;
      this.#restoring = undefined;
      this.#takeUp(restored);
    } catch (error) {
      if (writer === this.#writer) {
        this.#closeStore();
        for (const waiter of this.#takeDraining()) waiter.reject(error);
      }
      throw error;
    }
  }

  #takeUp(flows: readonly PublishFlow[]): void {
    for (const flow of flows) {
      this.#restored.add(flow);
      const over = () => {
        this.#restored.delete(flow);
        this.#checkDrained();
      };
      flow.waiter = { settle: over, fail: over };
    }
    this.#checkDrained();
    this.#arm();
  }

  #checkDrained(): void {
    if (this.#restored.size === 0) { for (const waiter of this.#takeDraining()) waiter.resolve(); }
  }

  #takeDraining(): PromiseWithResolvers<void>[] {
    const waiters = [...this.#draining];
    this.#draining.clear();
    return waiters;
  }

  /** Waits until what was sent is stored, and so written, but not beyond a time. Gives whether it is. */
  async #stored(deadline: number): Promise<boolean> {
    const flushed = this.#writer?.flush();
    let stored = flushed === undefined;
    await before(deadline, flushed?.then(() => stored = true));
    return stored;
  }

  #closeStore(): void {
    const writer = this.#writer;
    if (writer === undefined) return;
    this.#writer = this.#restoring = undefined;
    const closing = this.#storeClosing = writer.close().catch(ignore).then(() => {
      if (this.#storeClosing === closing) this.#storeClosing = undefined;
    });
  }

  // The life of the link.

  /** Connects, and connects again whenever the link is lost, until the end. */
  async #run(life: Life): Promise<void> {
    const { signal } = life.controller;
    signal.addEventListener("abort", () => this.#connection?.close());
    try {
      const restoring = this.#restore(this.#thePlan.cleanStart);
      if (restoring !== undefined) await this.#whenRestored(restoring, signal);
      for (;;) {
        await this.#establish(life.restores, signal);
        life.restores = life.wasUp = true;
        const error = await this.#linkLost;
        signal.throwIfAborted();
        if (life.replaced || this.#isClosing()) return;
        const restores = this.#itinerary.linkLost(this.#endpoint, error) || !endsForGood(error);
        if (!this.#options.autoReconnect || !restores) throw error;
        this.#state = "waiting";
        this.#listener.disconnected(error, true);
        if (life.replaced) return; // by the listener
      }
    } catch (error) {
      if (life.replaced || this.#isClosing()) return;
      if (signal.aborted) {
        this.#rejectWaiters(signal.reason);
        this.#end(new ClientError("connect() was aborted", { cause: signal.reason }), false);
      } else this.#end(life.restores ? givenUp(error) : error, false);
    }
  }

  /** Waits for the session to be restored, no longer than for a connection. */
  async #whenRestored(restoring: Promise<void>, signal: AbortSignal): Promise<void> {
    const { connectTimeout } = this.#options;
    const expired = Promise.withResolvers<never>();
    const timer = setTimeout(() => {
      const message = `the session store was not open within ${connectTimeout} s (see connect_timeout)`;
      const cause = new DOMException(message, "TimeoutError");
      expired.reject(new ConnectError(`Cannot connect: ${message}`, { cause }));
    }, connectTimeout * 1000);
    try {
      await unlessAborted(signal, Promise.race([restoring, expired.promise]));
    } finally {
      clearTimeout(timer);
    }
  }

  /** Makes one attempt, and retries as the options say. */
  async #establish(restoring: boolean, signal: AbortSignal): Promise<void> {
    const { autoReconnect, reconnectRetries, reconnectMaxInterval } = this.#options;
    for (let retries = 0;; retries++) {
      // A listener may have ended it.
      signal.throwIfAborted();
      const attempt = restoring ? retries + 1 : retries;
      if (attempt > 0) await this.#wait(attempt, backoff(attempt, reconnectMaxInterval), signal);
      signal.throwIfAborted();
      this.#state = "connecting";
      try {
        return await this.#attemptEach(signal);
      } catch (error) {
        signal.throwIfAborted();
        if (!autoReconnect || isPermanent(error) || retries === reconnectRetries) throw error;
      }
    }
  }

  async #wait(attempt: number, seconds: number, signal: AbortSignal): Promise<void> {
    this.#state = "waiting";
    this.#listener.reconnecting(attempt, seconds);
    await delay(seconds * 1000, { signal });
  }

  /** Tries the brokers in turn; the last one's error stands for all. */
  async #attemptEach(signal: AbortSignal): Promise<void> {
    const errors: unknown[] = [];
    for (const endpoint of this.#itinerary.round(this.#thePlan.endpoints)) {
      try {
        return await this.#attemptFollowing(endpoint, signal);
      } catch (error) {
        signal.throwIfAborted();
        errors.push(error);
      }
    }
    throw errors.findLast((error) => !isPermanent(error)) ?? errors.at(-1);
  }

  /** Tries a broker, with an older version of the protocol where it knows no newer one, and the one that it names instead of itself. */
  async #attemptFollowing(endpoint: Endpoint, signal: AbortSignal): Promise<void> {
    for (let target = endpoint;;) {
      try {
        return await this.#attempt(target, signal);
      } catch (error) {
        signal.throwIfAborted();
        const next = this.#itinerary.refused(target, error);
        if (next === undefined) throw error;
        target = next;
      }
    }
  }

  /** Opens a connection and waits for CONNACK, no longer than the options allow. */
  async #attempt(endpoint: Endpoint, signal: AbortSignal): Promise<void> {
    const { connectTimeout } = this.#options;
    const controller = new AbortController();
    const abort = () => controller.abort(signal.reason);
    const expire = () => {
      const message = `${endpoint.uri} did not accept the connection within ${connectTimeout} s (see connect_timeout)`;
      const cause = new DOMException(message, "TimeoutError");
      controller.abort(new ConnectError(`Cannot connect: ${message}`, { cause }));
      this.#connection?.close(controller.signal.reason);
    };
    signal.addEventListener("abort", abort);
    const timer = setTimeout(expire, connectTimeout * 1000);
    try {
      return await this.#handshake(endpoint, controller.signal);
    } catch (error) {
      throw controller.signal.aborted ? controller.signal.reason : connectError(endpoint, error);
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", abort);
    }
  }

  async #handshake(endpoint: Endpoint, signal: AbortSignal): Promise<void> {
    const plan = this.#thePlan;
    const { maximumPacketSize, checkPayloadFormat } = this.#options;
    const dialect = this.#itinerary.dialectFor(endpoint);
    const credentials = await unlessAborted(signal, credentialsOf(plan, endpoint));
    const packet = connectPacket(plan, credentials, dialect);
    const transport = await unlessAborted(signal, openTransport(plan, endpoint, signal), (late) => late.close());
    if (signal.aborted) {
      transport.close();
      throw signal.reason;
    }
    const connection = new Connection(
      transport,
      { dialect, maximumPacketSize, checkPayloadFormat },
      this.#traffic,
      this,
    );
    this.#connection = connection;
    const flow = this.#session.connect(packet, now(), dialect);
    const accepted = this.#promise(flow);
    const { waiter } = flow;
    let isUp = false;
    flow.waiter = {
      settle: (connack) => {
        this.#listener.answered(connack);
        connection.maximumPacketSize = connack.properties.maximumPacketSize ?? Infinity;
        isUp = connack.reasonCode === 0 && !signal.aborted;
        if (isUp) this.#up(connack, endpoint, dialect);
        waiter.settle(connack);
      },
      fail: (error) => waiter.fail(error),
    };
    this.#linkLost = this.#read(connection, endpoint);
    const connack = await accepted;
    if (isUp) return;
    connection.close();
    await this.#linkLost;
    signal.throwIfAborted();
    throw refusal(endpoint, connack);
  }

  #up(connack: ConnackPacket, endpoint: Endpoint, { hasResponseTopics }: Dialect): void {
    if (!this.#isClosing()) this.#state = "connected";
    this.#endpoint = endpoint;
    if (this.#life?.restores) this.#reconnects++;
    const { assignedClientIdentifier, responseInformation } = connack.properties;
    if (assignedClientIdentifier !== undefined) this.#plan = { ...this.#thePlan, clientId: assignedClientIdentifier };
    this.requester.connected({ hasResponseTopics, clientId: this.#thePlan.clientId, responseInformation });
    this.#arm();
    const waiters = [...this.#connecting];
    this.#connecting.clear();
    for (const waiter of waiters) waiter.resolve(connack);
    this.#listener.connected(connack, endpoint);
  }

  /** Reads and hands on packets until the connection ends. Gives what it ended with. */
  async #read(connection: Connection, endpoint: Endpoint): Promise<unknown> {
    try {
      for (; await connection.read(); await connection.relief()) {
        let time = now();
        this.#session.heard(time);
        for (let packet = connection.next(); packet !== null; packet = connection.next()) {
          if (this.packetObserver !== undefined) this.packetObserver("in", packet);
          this.#session.receive(packet, time);
          if (!this.inbox.full) this.#coupled = false;
          else if (!this.#readsPastFullQueue) time = await this.#pauseReading(connection);
        }
        this.#checkPublishesSettled();
      }
      connection.close(new ConnectionLostError(`${endpoint.uri} closed the connection`));
    } catch (error) {
      if (error instanceof ProtocolError && this.#session.complain(error.reasonCode)) {
        await this.#stored(now() + FAREWELL);
        await within(FAREWELL, [connection.flush()]);
      }
      connection.close(error);
    }
    this.#connection = undefined;
    this.#wakePublishers();
    clearTimeout(this.#timer);
    clearTimeout(this.#patience);
    this.#timer = this.#patience = undefined;
    this.#writer?.linkLost();
    const { error } = connection;
    const reason = error === undefined || error instanceof MQTTError ? error : lost(endpoint, error);
    this.#session.linkLost(reason);
    this.#arm();
    return reason;
  }

  get #readsPastFullQueue(): boolean {
    return this.#coupled && this.#awaitsAnswers && !this.#holdsTooMuch;
  }

  get #holdsTooMuch(): boolean {
    const { bytesReceived, packetsReceived } = this.#traffic;
    return this.inbox.length * (bytesReceived / packetsReceived + MESSAGE_OVERHEAD) > MOST_READ_PAST;
  }

  get #awaitsAnswers(): boolean {
    return this.#session.awaitsAnswers || this.requester.waiting > 0;
  }

  /** Leaves the connection unread until the application has taken messages. Gives the time after that. */
  async #pauseReading(connection: Connection): Promise<number> {
    const since = now();
    this.#session.pauseReading();
    while (this.inbox.full && connection.isOpen && !this.#readsPastFullQueue) {
      this.#patience ??= this.#watchQueue();
      await this.inbox.room();
    }
    const time = now();
    if (time - since > SLOW) {
      this.#shortPauses = 0;
      this.inbox.slowDown();
    } else if (++this.#shortPauses === MANY_SHORT_PAUSES && this.#receivesSmallPackets) this.inbox.speedUp();
    this.#session.resumeReading(time);
    this.#arm();
    return time;
  }

  /** Whether packets come for which a pause is much: of larger ones few should wait. */
  get #receivesSmallPackets(): boolean {
    const { bytesReceived, packetsReceived } = this.#traffic;
    return bytesReceived < SMALL_PACKET * packetsReceived;
  }

  /** Looks after a while whether the full queue lies untouched; one timer serves many short pauses. */
  #watchQueue(): ReturnType<typeof setTimeout> {
    const { messagesReceived } = this.#traffic, { length } = this.inbox;
    const holdsTooMuch = this.#holdsTooMuch;
    return setTimeout(() => {
      this.#patience = undefined;
      const untouched = messagesReceived === this.#traffic.messagesReceived && length === this.inbox.length;
      if (untouched && this.#awaitsAnswers) {
        if (holdsTooMuch) this.#connection?.close(stuck(length));
        else this.#coupled = true;
      }
      this.inbox.wake();
    }, (holdsTooMuch ? this.#options.pingTimeout : PATIENCE) * 1000);
  }

  /** Sets the timer to what the session waits for; one that is early finds nothing due and is set again. */
  #arm(): void {
    const deadline = this.#session.deadline;
    if (deadline === Infinity || this.#timer !== undefined && this.#timerDeadline <= deadline) return;
    clearTimeout(this.#timer);
    this.#timerDeadline = deadline;
    this.#timer = setTimeout(this.#tick, Math.min(Math.max(deadline - now(), 0), LONGEST_TIMER) * 1000);
  }

  readonly #tick = (): void => {
    this.#timer = undefined;
    if (this.#session.tick(now())) {
      const { pingTimeout } = this.#options;
      this.#connection?.close(new ConnectionLostError(`The broker left a ping unanswered for ${pingTimeout} s`));
    } else this.#arm();
  };

  /** Ends the life of the link, and with it everything that waits. */
  #end(error: unknown, regular: boolean): void {
    this.#refusal = regular
      ? "The client was disconnected: call connect() again"
      : `The client will not reconnect: ${messageOf(error)}`;
    const wasUp = this.#life?.wasUp ?? false;
    this.#state = "idle";
    this.#life = undefined;
    this.#itinerary.forgetRedirect();
    this.#letGo(error);
    this.requester.end(error);
    this.inbox.end(error, regular);
    this.#rejectWaiters(error);
    if (wasUp) this.#listener.disconnected(regular ? undefined : error, false);
  }

  /** Lets go of the store, and ends everything that waits in the session. */
  #letGo(error: unknown): void {
    this.#closeStore();
    this.#restored.clear();
    for (const waiter of this.#takeDraining()) waiter.reject(error);
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#session.end(error);
  }

  #rejectWaiters(error: unknown): void {
    const waiters = [...this.#connecting];
    this.#connecting.clear();
    for (const waiter of waiters) {
      waiter.promise.catch(ignore);
      waiter.reject(error);
    }
  }
}

const ALREADY: Readonly<Record<Exclude<LinkState, "idle">, string>> = {
  connecting: "Already connecting",
  connected: "Already connected: call disconnect() first, or reconnect()",
  waiting: "Already connecting: the connection is being restored",
  closing: "The client is disconnecting",
};

/** Whether a connection that ended so is not to be restored. */
function endsForGood(error: unknown): boolean {
  return (error instanceof ConnectError || error instanceof ConnectionLostError) && error.permanent;
}

/** Whether trying again cannot help. */
function isPermanent(error: unknown): boolean {
  return !(error instanceof ConnectError) || error.permanent;
}

function refusal({ uri }: Endpoint, { returnCode, reasonCode, properties }: ConnackPacket): ConnectError {
  const { reasonString, serverReference } = properties;
  const advice = serverReference !== undefined && REDIRECTIONS.has(reasonCode)
    ? `; it names ${JSON.stringify(serverReference)} (follow_redirects)`
    : "";
  return new ConnectError(`${uri} refused the connection: ${describeRefusal(returnCode, reasonString)}${advice}`, {
    returnCode,
    reasonCode,
    permanent: PERMANENT_REFUSALS.has(reasonCode),
    serverReference,
  });
}

function lost({ uri }: Endpoint, error: unknown): ConnectionLostError {
  return new ConnectionLostError(`The connection to ${uri} broke: ${messageOf(error)}`, { cause: error });
}

function stuck(messages: number): ConnectionLostError {
  const message =
    `${messages} messages wait that nobody takes, and calls wait for answers of the broker behind more of them: ` +
    "take messages without waiting for calls, or have the broker send fewer (receive_maximum, manual_ack)";
  return new ConnectionLostError(message, { permanent: true });
}

function givenUp(error: unknown): ConnectionLostError {
  const { reasonCode, serverReference, permanent }: ConnectionLostErrorOptions = error instanceof MQTTError
    ? error
    : {};
  return new ConnectionLostError(`The connection was lost and will not be restored: ${messageOf(error)}`, {
    cause: error,
    reasonCode,
    serverReference,
    permanent,
  });
}

function rejected(error: unknown): Promise<never> {
  const promise = Promise.reject(error);
  promise.catch(ignore);
  return promise;
}
