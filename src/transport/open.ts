import type { Endpoint } from "../endpoint.ts";
import { ConfigError, ConnectError, messageOf } from "../errors.ts";
import { type Certificates, type CertificateSources, loadCertificates } from "./certificates.ts";
import { openTcp } from "./tcp.ts";
import { openTls } from "./tls.ts";
import type { OpenOptions, OpenTransport, Transport } from "./transport.ts";
import { openUnix } from "./unix.ts";
import { openWebSocket } from "./websocket.ts";

/** Headers for the request that opens a WebSocket; a function is asked before every attempt. */
export type ExtraHeaders = HeadersInit | (() => HeadersInit | Promise<HeadersInit>);

/** What connections are opened with; each scheme takes what concerns it. */
export interface OpenerOptions extends CertificateSources {
  /** For `ws` and `wss`. */
  extraHeaders?: ExtraHeaders | undefined;
  /** For `mqtts` and `wss`: whether the certificate has to be valid for the host's name. */
  checkHostname: boolean;
  /** For `mqtts`: the protocols to offer by ALPN. */
  alpnProtocols: readonly string[];
}

/** Control characters, which `Headers` takes and the request does not. */
const FORBIDDEN_IN_HEADERS = /[^\t\x20-\x7e\x80-\xff]/;

/** Gives what opens connections in the way that their scheme names; certificates are read once, when the first connection needs them. */
export function transportOpener(options: OpenerOptions): OpenTransport {
  let loading: Promise<Certificates> | undefined;
  const certificates = () =>
    loading ??= loadCertificates(options).catch((error) => {
      loading = undefined; // `reconnect()` may find the fault mended.
      throw error;
    });
  const needsCertificates = [options.caFile, options.caPath, options.caData, options.certFile, options.keyFile]
    .some((source) => source !== undefined);

  return async (endpoint: Endpoint, { signal }: OpenOptions): Promise<Transport> => {
    const { checkHostname, alpnProtocols, extraHeaders } = options;
    if (typeof Deno === "undefined" && (!isWebSocket(endpoint) || extraHeaders !== undefined || needsCertificates)) {
      throw new ConfigError("Outside Deno only ws: and wss: are possible, without headers and certificates");
    }
    switch (endpoint.scheme) {
      case "mqtt":
        return await openTcp(endpoint, { signal });
      case "unix":
        return await openUnix(endpoint, { signal });
      case "mqtts":
        return await openTls(endpoint, { signal, certificates: await certificates(), checkHostname, alpnProtocols });
      case "ws":
      case "wss": {
        const secure = endpoint.scheme === "wss";
        if (secure && !checkHostname) {
          throw new ConfigError(
            "check_hostname: false is not possible with wss: Deno's WebSocket always checks the name",
          );
        }
        if (secure && alpnProtocols.length > 0) {
          throw new ConfigError("alpn_protocols is not possible with wss: a WebSocket is opened by HTTP");
        }
        return await openWebSocket(endpoint, {
          signal,
          headers: await readHeaders(endpoint, extraHeaders),
          certificates: secure && needsCertificates ? await certificates() : undefined,
        });
      }
    }
  };
}

function isWebSocket({ scheme }: Endpoint): boolean {
  return scheme === "ws" || scheme === "wss";
}

async function readHeaders(endpoint: Endpoint, extraHeaders: ExtraHeaders | undefined): Promise<Headers | undefined> {
  const fault = `Cannot connect to ${endpoint.uri}: `;
  let given;
  try {
    given = typeof extraHeaders === "function" ? await extraHeaders() : extraHeaders;
  } catch (cause) {
    if (cause instanceof ConnectError) throw cause;
    throw new ConnectError(`${fault}extraHeaders() failed: ${messageOf(cause)}`, { cause });
  }
  if (given === undefined) return undefined;
  const headers = validHeaders(given);
  if (headers !== undefined) return headers;
  throw new ConnectError(`${fault}extraHeaders hold what HTTP does not allow in headers`, { permanent: true });
}

/** Gives the headers if they are some. What Deno says of others may quote them. */
function validHeaders(given: HeadersInit): Headers | undefined {
  try {
    const headers = new Headers(given);
    return [...headers.values()].some((value) => FORBIDDEN_IN_HEADERS.test(value)) ? undefined : headers;
  } catch {
    return undefined;
  }
}
