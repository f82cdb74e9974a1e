/** The schemes of URIs that lead to a broker. */
export type Scheme = "mqtt" | "mqtts" | "ws" | "wss" | "unix";

/** Where a broker is, as its URI says. */
export interface Endpoint {
  /** How it is reached. */
  readonly scheme: Scheme;
  /** Its host name or address, IPv6 without brackets; empty for `unix`. */
  readonly hostname: string;
  /** Its port, 1…65,535; 0 for `unix`. */
  readonly port: number;
  /** The path of the socket for `unix`; path and query as they stand in the URI for `ws` and `wss`; empty otherwise. */
  readonly path: string;
  /** The user name of the URI, percent-decoded. */
  readonly username: string | undefined;
  /** The password of the URI, percent-decoded; empty where `user:@` says so. */
  readonly password: string | undefined;
  /** The URI without user name, password and query, which may hold a token; fit to be shown. */
  readonly uri: string;
}

const DEFAULT_PORTS: Readonly<Record<Exclude<Scheme, "unix">, number>> = { mqtt: 1883, mqtts: 8883, ws: 80, wss: 443 };

/** A user with an empty password in a URI; to `URL` it is one without. */
const EMPTY_PASSWORD = /^[a-z]+:\/\/[^:/?#\\]+:@/i;

const SCHEMES = "mqtt://, mqtts://, ws://, wss:// or unix:";

/** A / ? or # in a user name or a password, which ends the host for whoever reads the URI. */
const CUT_USER_INFO = /^[a-z]+:\/\/[^/?#\\]*[/?#\\].*@/is;
const ENCODE_USER_INFO = "write / in user name and password as %2F, ? as %3F, # as %23";
/** A colon after the host and what follows it, where that is no port: `user:password` without a host, for instance. */
const NO_PORT = /^((?:\[[^\]]*\]|[^:/?#[]*):)(?!\d+(?:[/?#]|$)).*$/s;

/** Gives host and port as a URI and a permission have them. */
export function authority({ hostname, port }: Pick<Endpoint, "hostname" | "port">): string {
  return `${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}`;
}

/** Hides what may be a user name, a password or a token in what may be a URI. */
export function maskedUri(uri: string): string {
  if (/^unix:/i.test(uri)) return uri;
  const scheme = /^"?[a-z][a-z0-9+.-]*:\/\//i.exec(uri)?.[0] ?? "";
  const rest = uri.slice(scheme.length).replace(/^.*@/s, "***@").replace(/([?#]).*$/s, "$1***");
  return scheme + rest.replace(NO_PORT, "$1***");
}

/**
 * Reads the URI of a broker.
 *
 * @throws {TypeError} If it is none, saying what is wrong with it.
 */
export function parseEndpoint(uri: string): Endpoint {
  if (typeof uri !== "string") throw new TypeError(`The URI of a broker must be a string, not ${typeof uri}`);
  const endpoint = readEndpoint(uri);
  if (typeof endpoint !== "string") return endpoint;
  throw new TypeError(`Cannot use "${maskedUri(uri)}" as the URI of a broker: ${endpoint}`);
}

/** Says why a text is no URI of a broker, without showing any of it; `undefined` when it is one. */
export function endpointFault(uri: string): string | undefined {
  const endpoint = readEndpoint(uri);
  return typeof endpoint === "string" ? endpoint : undefined;
}

/** Reads the URI of a broker; of what is none, it gives what is wrong with it. */
function readEndpoint(uri: string): Endpoint | string {
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(uri)?.[1].toLowerCase();
  if (scheme === undefined) return `it must start with ${SCHEMES}`;
  if (scheme === "unix") return unixEndpoint(uri);
  if (!isNetworkScheme(scheme)) return `its scheme is not one of ${SCHEMES}`;
  if (!/^[a-z]+:\/\//i.test(uri)) return `"//" must follow "${scheme}:"`;
  const url = URL.parse(uri);
  if (url === null) return `host or port are malformed${CUT_USER_INFO.test(uri) ? `; ${ENCODE_USER_INFO}` : ""}`;
  if (url.hostname === "") return "it names no host";
  if (url.pathname.includes("@")) return `an @ in its path must be written %40; ${ENCODE_USER_INFO}`;
  const isWebSocket = scheme === "ws" || scheme === "wss";
  if (url.hash !== "") return "a fragment (what follows #) means nothing here; write # as %23";
  if (!isWebSocket && ((url.pathname !== "" && url.pathname !== "/") || url.search !== "")) {
    return `"${scheme}:" takes no path and no query`;
  }
  const port = url.port === "" ? DEFAULT_PORTS[scheme] : Number(url.port);
  if (port === 0) return "port 0 cannot be connected to";
  // Names beyond ASCII are put in DNS's terms for the schemes of the Web alone.
  const asWeb = URL.parse(`ws://${url.hostname}`);
  if (asWeb === null) return "the name of the host is malformed";
  const hostname = asWeb.hostname.replace(/^\[(.*)\]$/, "$1");
  const path = isWebSocket ? url.pathname + url.search : "";
  const shownPath = path.replace(/\?.*$/s, "?***");
  const username = decoded(url.username), password = decoded(url.password);
  if (username === null || password === null) {
    return "user name or password hold a % that starts no percent-encoded UTF-8";
  }
  return {
    scheme,
    hostname,
    port,
    path,
    username,
    password: password ?? (EMPTY_PASSWORD.test(uri) ? "" : undefined),
    uri: `${scheme}://${authority({ hostname, port })}${shownPath}`,
  };
}

/**
 * Gives the endpoint that a broker names in the place of its own, `host[:port]` or several of that, of which the first counts; reached the
 * same way, as a scheme before it may say, with the same user. `undefined` where it names none.
 */
export function parseServerReference(serverReference: string, from: Endpoint): Endpoint | undefined {
  const { scheme, username, password, path } = from;
  const [first] = serverReference.trim().split(/\s+/, 1);
  const reference = first.startsWith(`${scheme}://`) ? first.slice(`${scheme}://`.length) : first;
  if (!isNetworkScheme(scheme) || /^$|[@/?#\\]/.test(reference)) return undefined;
  const next = readEndpoint(`${scheme}://${reference}${path}`);
  return typeof next === "string" ? undefined : { ...next, username, password };
}

function isNetworkScheme(scheme: string): scheme is Exclude<Scheme, "unix"> {
  return Object.hasOwn(DEFAULT_PORTS, scheme);
}

function unixEndpoint(uri: string): Endpoint | string {
  const path = uri.slice("unix:".length).replace(/^\/\/(?=\/)/, "");
  if (path === "") return "it names no socket, as unix:/run/mosquitto.sock does";
  return { scheme: "unix", hostname: "", port: 0, path, username: undefined, password: undefined, uri: `unix:${path}` };
}

/** Decodes a user name or a password, `undefined` when it is empty, `null` when it cannot be decoded. */
function decoded(text: string): string | undefined | null {
  try {
    return text === "" ? undefined : decodeURIComponent(text);
  } catch {
    return null;
  }
}
