import type { Dialect } from "../codec/dialect.ts";
import { type Endpoint, parseServerReference } from "../endpoint.ts";
import { ConnectError, ConnectionLostError } from "../errors.ts";
import { REDIRECTIONS, UNSUPPORTED_PROTOCOL_VERSION } from "../reason_codes.ts";

/** Which broker is tried next, and in which dialect. */
export class Itinerary {
  readonly #dialects: readonly Dialect[];
  readonly #mostRedirects: number;
  /** How many of the dialects each broker has refused, by its URI. */
  readonly #refusedDialects = new Map<string, number>();
  /** Where the broker sent the client when it ended the connection. */
  #redirect: Endpoint | undefined;
  /** How many times in a row the client was sent elsewhere. */
  #redirects = 0;

  /** Takes the dialects, the one to be tried first in front, and how many times in a row to go where a broker sends the client. */
  constructor(dialects: readonly Dialect[], mostRedirects: number) {
    this.#dialects = dialects;
    this.#mostRedirects = mostRedirects;
  }

  /** Gives the dialect to speak with a broker. */
  dialectFor({ uri }: Endpoint): Dialect {
    return this.#dialects[this.#refusedDialects.get(uri) ?? 0];
  }

  /** Gives the brokers to be tried in turn: before these the one that {@linkcode linkLost} has found. */
  *round(endpoints: readonly Endpoint[]): Generator<Endpoint> {
    const redirect = this.#redirect;
    this.#redirect = undefined;
    if (redirect !== undefined) yield redirect;
    for (const endpoint of endpoints) {
      this.#redirects = 0;
      yield endpoint;
    }
  }

  /** Gives what is to be tried in the place of a broker that refused: the same in an older dialect, or the one that it names. */
  refused(endpoint: Endpoint, error: unknown): Endpoint | undefined {
    return this.#fallBack(endpoint, error) ? endpoint : this.#follow(endpoint, error);
  }

  /** Notes what a connection has ended with. Gives whether the next round begins with the broker that this names. */
  linkLost(endpoint: Endpoint | undefined, error: unknown): boolean {
    this.#redirect = endpoint === undefined ? undefined : this.#follow(endpoint, error);
    return this.#redirect !== undefined;
  }

  /** Forgets where the broker sent the client. */
  forgetRedirect(): void {
    this.#redirect = undefined;
  }

  #fallBack({ uri }: Endpoint, error: unknown): boolean {
    if (!(error instanceof ConnectError) || error.reasonCode !== UNSUPPORTED_PROTOCOL_VERSION) return false;
    const refused = (this.#refusedDialects.get(uri) ?? 0) + 1;
    if (refused >= this.#dialects.length) return false;
    this.#refusedDialects.set(uri, refused);
    return true;
  }

  #follow(from: Endpoint, error: unknown): Endpoint | undefined {
    const names = error instanceof ConnectError || error instanceof ConnectionLostError;
    const { reasonCode = 0, serverReference } = names ? error : {};
    if (!REDIRECTIONS.has(reasonCode) || serverReference === undefined) return undefined;
    if (this.#redirects >= this.#mostRedirects) return undefined;
    const next = parseServerReference(serverReference, from);
    if (next !== undefined) this.#redirects++;
    return next;
  }
}
