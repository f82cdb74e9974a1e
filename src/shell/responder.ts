import type { ApplicationMessage } from "../message.ts";
import type { QoS } from "../packets.ts";
import type { Properties } from "../properties.ts";
import type { Route } from "./inbox.ts";

/** A response with properties of its own. */
export interface Answer {
  /** The content, empty by default; a string is sent as UTF-8. */
  payload?: Uint8Array | string | undefined;
  /** Properties of the response (MQTT 5.0); the correlation data is always that of the request. */
  properties?: Properties | undefined;
}

/** What a request handler may give: the content of the response, which is empty for nothing. */
export type AnswerLike = Answer | Uint8Array | string | void;

/** Answers a request; a promise that it returns is waited for. */
export type RequestHandler = (request: ApplicationMessage) => AnswerLike | Promise<AnswerLike>;

/** What a responder works with. */
export interface ResponderOptions {
  readonly handler: RequestHandler;
  /** How many requests are handled at a time. */
  readonly concurrency: number;
  /** Gives where to respond to. */
  responseTopic(request: ApplicationMessage): string | undefined;
  publish(
    topic: string,
    payload: Uint8Array | string,
    options: { qos: QoS; retain: boolean; properties: Properties },
  ): Promise<unknown>;
  unsubscribe(): Promise<unknown>;
}

/** What answers the requests that come to a topic filter, until it is stopped or the client ends. */
export interface Responder extends AsyncDisposable {
  /**
   * Unsubscribes, answers the requests that have come by then, and ends. Does nothing the second time.
   *
   * @returns a promise that resolves when the last of them is answered; it does not reject
   */
  stop(): Promise<void>;
}

/** Answers the requests of a route. */
export class RouteResponder implements Responder {
  readonly #requests: Route;
  readonly #options: ResponderOptions;
  readonly #workers: Promise<void>[];
  #stopped: Promise<void> | undefined;

  constructor(requests: Route, options: ResponderOptions) {
    this.#requests = requests;
    this.#options = options;
    this.#workers = Array.from({ length: options.concurrency }, () => this.#work());
  }

  async #work(): Promise<void> {
    try {
      for (;;) {
        const { done, value } = await this.#requests.next();
        if (done) return;
        await this.#answer(value);
        value.ack();
      }
    } catch {
      // The client has ended, which others are told of.
    }
  }

  /** Handles a request. What is wrong with the handler is reported; that a response cannot be published is not its fault. */
  async #answer(request: ApplicationMessage): Promise<void> {
    const { handler, responseTopic, publish } = this.#options;
    try {
      const { payload = "", properties } = answerOf(await handler(request));
      const topic = responseTopic(request);
      if (topic === undefined) return;
      const { correlationData } = request.properties;
      const correlation = correlationData === undefined ? {} : { correlationData };
      const options = { qos: request.qos, retain: false, properties: { ...properties, ...correlation } };
      await publish(topic, payload, options).catch(unlessWrongArgument);
    } catch (error) {
      reportError(error);
    }
  }

  stop(): Promise<void> {
    return this.#stopped ??= this.#stop();
  }

  async #stop(): Promise<void> {
    await this.#options.unsubscribe().catch(() => {}); // The client has ended.
    this.#requests.finish();
    await Promise.all(this.#workers);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}

function answerOf(answer: AnswerLike): Answer {
  return typeof answer === "object" && !(answer instanceof Uint8Array) ? answer : { payload: answer ?? "" };
}

function unlessWrongArgument(error: unknown): void {
  if (error instanceof TypeError || error instanceof RangeError) throw error;
}
