import { authority, type Endpoint, type Scheme } from "../endpoint.ts";
import { ConfigError, ConnectError, ConnectionLostError, messageOf, ProtocolError } from "../errors.ts";

/** How an error is recognised, what is to be checked then, and whether trying again cannot help. */
interface Advice {
  pattern: RegExp;
  advice: (endpoint: Endpoint) => string;
  permanent?: true;
}

/** For a port that breaks off or answers nonsense while the transport is being set up. */
const OTHER_PORT: Readonly<Record<Scheme, string>> = {
  mqtt: "check host and port",
  mqtts: "the port does not speak TLS; use mqtt:, or the port for TLS",
  ws: "the port does not speak WebSocket without TLS; use wss:, mqtt: or mqtts:, or another port",
  wss: "check that the port speaks WebSocket over TLS (and not ws:, mqtt: or mqtts:), and whether it wants a client" +
    " certificate (certfile, keyfile)",
  unix: "check that it is the broker's socket",
};

/** The same when the transport is there, and the broker does not answer to CONNECT as one. */
const OTHER_PROTOCOL: Readonly<Record<Scheme, string>> = {
  mqtt: "check that the port speaks MQTT without TLS (mqtts:) and without WebSocket (ws:)",
  mqtts: "check that the port speaks MQTT without WebSocket (wss:), and whether it wants a client certificate" +
    " (certfile, keyfile) or a protocol by ALPN (alpn_protocols)",
  ws: "check the path of the URI; the broker's log may tell more",
  wss: "check the path of the URI; the broker's log may tell more",
  unix: "check that it is the broker's socket",
};

const CLIENT_CERTIFICATE: Advice = {
  pattern: /fatal alert: (\w*Certificate\w*|UnknownCA|DecryptError|AccessDenied)/,
  advice: () => "it does not accept this client without a certificate, or with this one: check certfile and keyfile",
  permanent: true,
};

const ADVICE: readonly Advice[] = [
  {
    pattern: /invalid peer certificate: .*(UnknownIssuer|SelfSigned)/,
    advice: () =>
      "its certificate is signed by an authority that is not known: give that authority's by caFile, caPath or caData",
    permanent: true,
  },
  {
    pattern: /invalid peer certificate: .*CaUsedAsEndEntity/,
    advice: () =>
      "its certificate is an authority's own (CA:TRUE), which cannot be a server's at the same time: sign one for the broker with it",
    permanent: true,
  },
  {
    pattern: /invalid peer certificate: .*expired/i,
    advice: () => "its certificate has expired; check the broker's certificate and this machine's clock",
    permanent: true,
  },
  {
    pattern: /invalid peer certificate: .*(not valid yet|NotValidYet)/,
    advice: () => "its certificate is not valid yet; check the broker's certificate and this machine's clock",
    permanent: true,
  },
  {
    pattern: /invalid peer certificate: .*(not valid for name|NotValidForName)/,
    advice: ({ scheme, hostname }) =>
      `its certificate is for another host; use the name that it is for in the place of ${hostname}` +
      (scheme === "mqtts" ? ", or check_hostname: false" : ""),
    permanent: true,
  },
  { pattern: /invalid peer certificate/, advice: () => "its certificate cannot be trusted", permanent: true },
  CLIENT_CERTIFICATE,
  {
    pattern: /fatal alert: NoApplicationProtocol/,
    advice: ({ scheme }) =>
      scheme === "mqtts" ? "it supports none of the protocols offered: check alpn_protocols" : OTHER_PORT[scheme],
    permanent: true,
  },
  {
    pattern: /fatal alert: (HandshakeFailure|ProtocolVersion)|PeerIncompatible/,
    advice: () =>
      "it does not agree on a version of TLS, which is 1.2 or 1.3 here, and ciphers, or wants a client certificate (certfile, keyfile)",
  },
  {
    pattern: /Invalid status code: 40[13]/,
    advice: () => "the server wants other credentials: check user name, password and extraHeaders",
    permanent: true,
  },
  {
    pattern: /Invalid status code: 404/,
    advice: ({ path }) => `the server knows no "${path.replace(/\?.*$/s, "")}": check the path of the URI`,
  },
  {
    pattern: /Invalid status code: \d+/,
    advice: () => "the server did not switch to WebSocket: check host, port and path",
  },
  {
    pattern: /accept the subprotocol/,
    advice: () => "this is no MQTT broker, or another path of it: check the URI",
  },
  {
    pattern: /browser tells programs no reason/,
    advice: () => "check the URI, and look into the browser's console",
  },
  {
    pattern: /Requires net access to "[\d[]/,
    advice: () => "this address is not allowed to the program: check --allow-net and --deny-net",
    permanent: true,
  },
  { pattern: /lookup address|dns error/, advice: ({ hostname }) => `check the host name "${hostname}"` },
  { pattern: /refused|tcp connect error/, advice: () => "check that the broker runs, and its host and port" },
  { pattern: /No such file/, advice: () => "check that the broker runs, and the path of its socket" },
  {
    pattern:
      /corrupt message|invalid HTTP|connection (error|closed)|connection reset|reset by peer|broken pipe|end of file|h2 alpn/i,
    advice: ({ scheme }) => OTHER_PORT[scheme],
  },
];

/** For a broker that was reached and then broke off or answered nonsense. */
const NO_ANSWER: Advice = { pattern: /^/, advice: ({ scheme }) => OTHER_PROTOCOL[scheme] };

/** Makes the error that `connect()` rejects with from what went wrong. */
export function connectError(endpoint: Endpoint, cause: unknown): Error {
  if (cause instanceof ConnectError || cause instanceof ConfigError) return cause;
  const message = `Cannot connect to ${endpoint.uri}: `;
  const words = messageOf(cause);
  if (isDenied(cause) && words.includes(nameInDenials(endpoint))) {
    return new ConnectError(`${message}run with ${permissionFlags(endpoint)}`, { cause, permanent: true });
  }
  const known = findAdvice(cause, words);
  return new ConnectError(known === undefined ? message + words : `${message}${words}; ${known.advice(endpoint)}`, {
    cause,
    permanent: known?.permanent ?? isDenied(cause),
    reasonCode: cause instanceof ProtocolError ? cause.reasonCode : undefined,
  });
}

function isDenied(cause: unknown): boolean {
  return typeof Deno !== "undefined" && cause instanceof Deno.errors.NotCapable;
}

/** Gives what Deno shows of an endpoint when it denies it; the folder of a socket it may show in another form. */
function nameInDenials(endpoint: Endpoint): string {
  return endpoint.scheme === "unix" ? endpoint.path.replace(/^.*\//s, "") : authority(endpoint);
}

function findAdvice(cause: unknown, words: string): Advice | undefined {
  if (!(cause instanceof ConnectionLostError || cause instanceof ProtocolError)) {
    return ADVICE.find(({ pattern }) => pattern.test(words));
  }
  // By TLS 1.3 a broker looks at the client's certificate after the handshake. What a broker says itself is not searched.
  const isTls = cause.cause instanceof Error && CLIENT_CERTIFICATE.pattern.test(cause.cause.message);
  return isTls ? CLIENT_CERTIFICATE : NO_ANSWER;
}

function permissionFlags(endpoint: Endpoint): string {
  if (endpoint.scheme !== "unix") return `--allow-net=${authority(endpoint)}`;
  const path = endpoint.path.startsWith("/") ? endpoint.path : `${Deno.cwd()}/${endpoint.path}`;
  return `--allow-read=${path} --allow-write=${path} --allow-net=unix:${path}`;
}
