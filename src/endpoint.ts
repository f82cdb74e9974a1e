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
  /** The password of the URI, percent-decoded. */
  readonly password: string | undefined;
  /** The URI without user name, password and query, which may hold a token; fit to be shown. */
  readonly uri: string;
}

const DEFAULT_PORTS: Readonly<Record<Exclude<Scheme, "unix">, number>> = { mqtt: 1883, mqtts: 8883, ws: 80, wss: 443 };
const SCHEMES = "mqtt://, mqtts://, ws://, wss:// or unix:";

/** Gives host and port as a URI and a permission have them. */
export function authority({ hostname, port }: Pick<Endpoint, "hostname" | "port">): string {
  return `${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}`;
}

/** Hides what may be a user name, a password or a token in what may be a URI. */
function withoutSecrets(uri: string): string {
  return uri.replace(/^("?[a-z][a-z0-9+.-]*:\/\/)?.*@/is, "$1***@").replace(/\?.*$/s, "?***");
}

/**
 * Reads the URI of a broker.
 *
 * @throws {TypeError} If it is none, saying what is wrong with it.
 */
export function parseEndpoint(uri: string): Endpoint {
  if (typeof uri !== "string") throw new TypeError(`The URI of a broker must be a string, not ${typeof uri}`);
  const fault = (what: string) => new TypeError(`Cannot use "${withoutSecrets(uri)}" as the URI of a broker: ${what}`);
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(uri)?.[1].toLowerCase();
  if (scheme === undefined) throw fault(`it must start with ${SCHEMES}`);
  if (scheme === "unix") return unixEndpoint(uri, fault);
  if (!isNetworkScheme(scheme)) throw fault(`its scheme is not one of ${SCHEMES}`);
  if (!/^[a-z]+:\/\//i.test(uri)) throw fault(`"//" must follow "${scheme}:"`);
  const url = URL.parse(uri);
  if (url === null) throw fault("host or port are malformed");
  if (url.hostname === "") throw fault("it names no host");
  const isWebSocket = scheme === "ws" || scheme === "wss";
  if (url.hash !== "") throw fault("a fragment (what follows #) means nothing here; write # as %23");
  if (!isWebSocket && ((url.pathname !== "" && url.pathname !== "/") || url.search !== "")) {
    throw fault(`"${scheme}:" takes no path and no query`);
  }
  const port = url.port === "" ? DEFAULT_PORTS[scheme] : Number(url.port);
  if (port === 0) throw fault("port 0 cannot be connected to");
  // Names beyond ASCII are put in DNS's terms for the schemes of the Web alone.
  const asWeb = URL.parse(`ws://${url.hostname}`);
  if (asWeb === null) throw fault("the name of the host is malformed");
  const hostname = asWeb.hostname.replace(/^\[(.*)\]$/, "$1");
  const path = isWebSocket ? url.pathname + url.search : "";
  const shownPath = path.replace(/\?.*$/s, "?***");
  return {
    scheme,
    hostname,
    port,
    path,
    ...userInfo(url, fault),
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
  try {
    return { ...parseEndpoint(`${scheme}://${reference}${path}`), username, password };
  } catch {
    return undefined;
  }
}

function isNetworkScheme(scheme: string): scheme is Exclude<Scheme, "unix"> {
  return Object.hasOwn(DEFAULT_PORTS, scheme);
}

function unixEndpoint(uri: string, fault: (what: string) => TypeError): Endpoint {
  const path = uri.slice("unix:".length).replace(/^\/\/(?=\/)/, "");
  if (path === "") throw fault("it names no socket, as unix:/run/mosquitto.sock does");
  return { scheme: "unix", hostname: "", port: 0, path, username: undefined, password: undefined, uri: `unix:${path}` };
}

function userInfo(url: URL, fault: (what: string) => TypeError): Pick<Endpoint, "username" | "password"> {
  try {
    return {
      username: url.username === "" ? undefined : decodeURIComponent(url.username),
      password: url.password === "" ? undefined : decodeURIComponent(url.password),
    };
  } catch {
    throw fault("user name or password hold a % that starts no percent-encoded UTF-8");
  }
}
