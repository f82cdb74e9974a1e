import { authority, type Endpoint } from "../endpoint.ts";
import type { Certificates } from "./certificates.ts";

/** What to ask with. */
export interface UpgradeOptions {
  headers: HeadersInit | undefined;
  certificates: Certificates | undefined;
  signal: AbortSignal;
}

/** What Deno says of a `wss` that never came to the request for an upgrade. */
const NOT_ASKED =
  /invalid peer certificate|fatal alert: (?!NoApplicationProtocol)|corrupt message|dns error|lookup address|tcp connect error|Requires net access/;

/**
 * Tells whether an error says too little of what went wrong.
 *
 * When a `wss` server has refused an upgrade Deno asks again by HTTP/2, and tells how that went wrong, mostly for having been HTTP/2.
 */
export function hidesRefusal({ scheme }: Endpoint, error: unknown): boolean {
  return scheme === "wss" && typeof Deno !== "undefined" && error instanceof Error && !NOT_ASKED.test(error.message);
}

/**
 * Asks a server for an upgrade by HTTP/1.1, to learn why it refuses one.
 *
 * @returns what went wrong, in the words that Deno has for it without TLS; the failure given, if nothing does now
 */
export async function askRefusal(endpoint: Endpoint, options: UpgradeOptions, failure: unknown): Promise<unknown> {
  const { certificates, signal } = options;
  using client = Deno.createHttpClient({ ...certificates, http2: false });
  try {
    const url = `https://${authority(endpoint)}${endpoint.path}`;
    const response = await fetch(url, { client, signal, headers: upgradeHeaders(options), redirect: "manual" });
    await response.body?.cancel();
    return response.status === 101 ? failure : new Error(`Invalid status code: ${response.status}`, { cause: failure });
  } catch (error) {
    signal.throwIfAborted();
    return new Error(withoutUrl(error), { cause: failure });
  }
}

function upgradeHeaders({ headers }: UpgradeOptions): Headers {
  const all = new Headers(headers);
  all.set("Connection", "Upgrade");
  all.set("Upgrade", "websocket");
  all.set("Sec-WebSocket-Protocol", "mqtt");
  all.set("Sec-WebSocket-Version", "13");
  all.set("Sec-WebSocket-Key", crypto.getRandomValues(new Uint8Array(16)).toBase64());
  return all;
}

/** What went wrong in a `fetch()`, without the URL, whose query may hold a token. */
function withoutUrl(error: unknown): string {
  const words = error instanceof Error && error.cause instanceof Error ? error.cause.message : String(error);
  if (!words.includes("://")) return words;
  return /client error \(\w+\): .*$/.exec(words)?.[0] ?? "the server did not answer a request by HTTP";
}
