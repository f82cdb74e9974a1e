import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { join } from "node:path";
import { type ClientConfig, ConfigError, ConnectError, type ConnectOptions, MQTTClient } from "../../mod.ts";
import { connectError } from "../../src/transport/connect_error.ts";
import { parseEndpoint } from "../../src/endpoint.ts";
import { brokerTest } from "../helpers/brokers.ts";
import { certificatesOfFile } from "../helpers/file_certificates.ts";
import { keepAwake } from "../helpers/keep_awake.ts";
import { startScriptedPeer } from "../helpers/scripted_peer.ts";
import { startWebSocketPeer } from "../helpers/websocket_peer.ts";

const { certificates, tlsTest } = await certificatesOfFile();

/** A way to fail: where to, what the message says (what happened, then what to check), and whether it is not retried. */
interface Failure {
  what: string;
  uri: string;
  says: RegExp;
  permanent: boolean;
  options?: ConnectOptions;
  config?: ClientConfig;
}

/** Connects with one retry, and checks the error and the number of attempts. */
async function fail({ uri, says, permanent, options, config }: Failure): Promise<void> {
  let attempts = 0;
  const client = new MQTTClient({
    config: { reconnect_retries: 1, reconnect_max_interval: 0.001, ...config },
    credentials: () => {
      attempts++;
      return {};
    },
  });
  const error = await assertRejects(() => client.connect(uri, options), ConnectError);
  assertMatch(error.message, says);
  assert(error.message.startsWith(`Cannot connect to ${parseEndpoint(uri).uri}: `), error.message);
  assert(error.cause instanceof Error, "the error has a cause");
  assertEquals([error.permanent, attempts], [permanent, permanent ? 1 : 2]);
  assertEquals(client.connected, false);
}

async function failEach(context: Deno.TestContext, failures: Failure[]): Promise<void> {
  for (const failure of failures) await context.step(failure.what, () => fail(failure));
}

const NO_TLS = /the port does not speak TLS; use mqtt:/;
const NO_WSS = /check that the port speaks WebSocket over TLS \(and not ws:, mqtt: or mqtts:\)/;
const NO_WS = /the port does not speak WebSocket without TLS; use wss:, mqtt: or mqtts:/;
const NO_MQTT = /check that the port speaks MQTT without TLS \(mqtts:\) and without WebSocket \(ws:\)/;

brokerTest("MQTTClient.connect() tells what to check where another protocol is spoken", {
  listeners: ["mqtt", "mqtts", "ws", "wss"],
  certificates,
}, async ({ ports, certificates }, context) => {
  await using _awake = await keepAwake(ports.mqtt);
  const port = ports;
  const wrong: [scheme: string, port: number, says: RegExp][] = [
    ["mqtt", port.mqtts, NO_MQTT],
    ["mqtt", port.ws, NO_MQTT],
    ["mqtt", port.wss, NO_MQTT],
    ["mqtts", port.mqtt, NO_TLS],
    ["mqtts", port.ws, NO_TLS],
    ["mqtts", port.wss, /check that the port speaks MQTT without WebSocket \(wss:\)/],
    ["ws", port.mqtt, NO_WS],
    ["ws", port.mqtts, NO_WS],
    ["ws", port.wss, NO_WS],
    ["wss", port.mqtt, NO_WSS],
    ["wss", port.mqtts, NO_WSS],
    ["wss", port.ws, NO_WSS],
  ];
  const nameOf = (wanted: number) => Object.entries(ports).find(([, port]) => port === wanted)?.[0];
  await failEach(
    context,
    wrong.map(([scheme, port, says]) => ({
      what: `${scheme} to a port for ${nameOf(port)}`,
      uri: `${scheme}://127.0.0.1:${port}`,
      options: { caFile: certificates.ca },
      says,
      permanent: false,
    })),
  );
});

for (const shown of ["server", "unknown", "expired", "wrongHost"] as const) {
  const listeners = ["mqtt", "mqtts", "wss"] as const;
  const name = `MQTTClient.connect() tells what is wrong with the broker's certificate (${shown})`;
  brokerTest(name, { listeners, certificates, serverCertificate: shown }, async ({ ports, certificates }, context) => {
    await using _awake = await keepAwake(ports.mqtt);
    const unknownIssuer =
      /UnknownIssuer.*an authority that is not known: give that authority's by caFile, caPath or caData/;
    const says = {
      server: unknownIssuer, // with no authority given
      unknown: unknownIssuer,
      expired: /expired.*; its certificate has expired; check the broker's certificate and this machine's clock/,
      wrongHost: /"broker\.invalid".*for another host; use the name that it is for in the place of 127\.0\.0\.1/,
    }[shown];
    const options = shown === "server" ? {} : { caFile: certificates.ca };
    await failEach(context, [
      { what: "mqtts", uri: `mqtts://127.0.0.1:${ports.mqtts}`, options, says, permanent: true },
      { what: "wss", uri: `wss://127.0.0.1:${ports.wss}`, options, says, permanent: true },
    ]);
    if (shown === "wrongHost") {
      const config = { check_hostname: false };
      await using client = new MQTTClient({ config });
      assertEquals(await client.connect(`mqtts://127.0.0.1:${ports.mqtts}`, options), 0);
      const overWss = new MQTTClient({ config });
      const error = await assertRejects(() => overWss.connect(`wss://127.0.0.1:${ports.wss}`, options), ConfigError);
      assertMatch(error.message, /check_hostname: false is not possible with wss/);
    } else if (shown !== "server") {
      await context.step("mqtts with check_hostname: false checks the rest", () =>
        fail({
          what: "",
          uri: `mqtts://127.0.0.1:${ports.mqtts}`,
          options,
          config: { check_hostname: false },
          says,
          permanent: true,
        }));
    }
  });
}

tlsTest("MQTTClient.connect() tells that an authority's certificate cannot be a server's", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const caFile = join(folder, "ca.pem"), keyFile = join(folder, "ca.key");
    const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"];
    const files = ["-keyout", keyFile, "-out", caFile];
    const args = [
      "req",
      "-x509",
      "-newkey",
      "ec",
      "-pkeyopt",
      "ec_paramgen_curve:P-256",
      "-noenc",
      ...subject,
      ...files,
    ];
    assert((await new Deno.Command("openssl", { args, stderr: "null" }).output()).success);
    const [cert, key] = [await Deno.readTextFile(caFile), await Deno.readTextFile(keyFile)];
    using listener = Deno.listenTls({ hostname: "127.0.0.1", port: 0, cert, key });
    const accepting = listener.accept();
    await fail({
      what: "",
      uri: `mqtts://127.0.0.1:${listener.addr.port}`,
      options: { caFile },
      says: /CaUsedAsEndEntity.*an authority's own \(CA:TRUE\).*: sign one for the broker with it/,
      permanent: true,
    });
    (await accepting).close();
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

for (const version of ["tlsv1.2", "tlsv1.3"]) {
  brokerTest(`MQTTClient.connect() tells that the broker wants a client certificate (${version})`, {
    listeners: ["mqtt", "mqtts", "wss"],
    listenerConfig: ["require_certificate true", `tls_version ${version}`],
    certificates,
  }, async ({ ports, uris, certificates: { ca, unknown, server, client } }, context) => {
    await using _awake = await keepAwake(ports.mqtt);
    const says = /: check certfile and keyfile$|client certificate \(certfile, keyfile\)/;
    const pairs: [string, ClientConfig][] = [
      ["none", {}],
      ["one of another authority", { certfile: unknown.certificate, keyfile: unknown.key }],
      ["one that is for servers", { certfile: server.certificate, keyfile: server.key }],
    ];
    for (const uri of [uris.mqtts, uris.wss]) {
      for (const [pair, config] of pairs) {
        await context.step(`${uri.split(":")[0]} with ${pair}`, async () => {
          const mqttClient = new MQTTClient({ config: { ...config, auto_reconnect: false } });
          const error = await assertRejects(() => mqttClient.connect(uri, { caFile: ca }), ConnectError);
          assertMatch(error.message, says);
          assert(error.cause instanceof Error);
        });
      }
      await using mqttClient = new MQTTClient({ config: { certfile: client.certificate, keyfile: client.key } });
      assertEquals(await mqttClient.connect(uri, { caFile: ca }), 0);
    }
  });
}

const STATUSES: [status: number, says: RegExp, permanent: boolean][] = [
  [401, /401.*wants other credentials: check user name, password and extraHeaders/, true],
  [403, /403.*wants other credentials: check user name, password and extraHeaders/, true],
  [404, /404.*the server knows no "\/a\/b": check the path of the URI/, false],
  [200, /200.*the server did not switch to WebSocket: check host, port and path/, false],
  [301, /301.*the server did not switch to WebSocket: check host, port and path/, false],
  [503, /503.*the server did not switch to WebSocket: check host, port and path/, false],
];

tlsTest(
  "MQTTClient.connect() tells the status with which an upgrade is refused, and never the query",
  async (made, context) => {
    const tls = {
      cert: await Deno.readTextFile(made.server.certificate),
      key: await Deno.readTextFile(made.server.key),
    };
    let status = 0;
    const handle = (request: Request) => {
      assertEquals(new URL(request.url).search, "?token=s3cret");
      return new Response("no", { status, headers: status === 301 ? { Location: "https://broker.invalid/" } : {} });
    };
    const options = { hostname: "127.0.0.1", port: 0, onListen: () => {} };
    await using plain = Deno.serve(options, handle);
    await using secure = Deno.serve({ ...options, ...tls }, handle);
    for (const [answer, says, permanent] of STATUSES) {
      status = answer;
      for (const [scheme, { addr }] of [["ws", plain], ["wss", secure]] as const) {
        await context.step(`${status} over ${scheme}`, async () => {
          const uri = `${scheme}://127.0.0.1:${addr.port}/a/b?token=s3cret`;
          await fail({ what: "", uri, says, permanent, options: { caFile: made.ca } });
          const client = new MQTTClient({ config: { auto_reconnect: false } });
          const error = await assertRejects(() => client.connect(uri, { caFile: made.ca }), ConnectError);
          assertEquals(Deno.inspect(error).includes("s3cret"), false);
        });
      }
    }
  },
);

tlsTest("MQTTClient.connect() tells the status of servers that know HTTP/1.1 alone", async (made, context) => {
  const tls = { cert: await Deno.readTextFile(made.server.certificate), key: await Deno.readTextFile(made.server.key) };
  for (const alpnProtocols of [undefined, ["http/1.1"]]) {
    await context.step(`by ALPN: ${alpnProtocols}`, async () => {
      using listener = Deno.listenTls({ hostname: "127.0.0.1", port: 0, alpnProtocols, ...tls });
      const serving = refuseUpgrades(listener);
      const uri = `wss://127.0.0.1:${listener.addr.port}/`;
      const client = new MQTTClient({ config: { auto_reconnect: false } });
      const options = { caFile: made.ca, extraHeaders: { Authorization: "Bearer s3cret" } };
      const error = await assertRejects(() => client.connect(uri, options), ConnectError, "401");
      assertEquals(error.permanent, true);
      listener.close();
      assertEquals(await serving, ["Bearer s3cret", "Bearer s3cret"]);
    });
  }
});

Deno.test("MQTTClient.connect() tells that the subprotocol was not accepted", async (context) => {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    return Deno.upgradeWebSocket(request).response;
  });
  await failEach(context, [{
    what: "by Deno.serve()",
    uri: `ws://127.0.0.1:${server.addr.port}/`,
    says: /did not accept the subprotocol "mqtt"; this is no MQTT broker, or another path of it: check the URI/,
    permanent: false,
  }]);
  await server.shutdown();
});

Deno.test("MQTTClient.connect() tells that nobody listens, and that a name is unknown", async (context) => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  const schemes = ["mqtt", "mqtts", "ws", "wss"];
  await failEach(context, [
    ...schemes.map((scheme) => ({
      what: `${scheme} to a port on which nobody listens`,
      uri: `${scheme}://127.0.0.1:${port}`,
      says: /check that the broker runs, and its host and port/,
      permanent: false,
    })),
    ...schemes.map((scheme) => ({
      what: `${scheme} to a name that is unknown`,
      uri: `${scheme}://broker.invalid:${port}`,
      says: /check the host name "broker\.invalid"/,
      permanent: false,
    })),
    {
      what: "a Unix socket that is not there",
      uri: "unix:/nowhere/mosquitto.sock",
      says: /check that the broker runs, and the path of its socket/,
      permanent: false,
    },
  ]);
});

Deno.test("MQTTClient.connect() tells that the broker has closed the connection instead of answering", async () => {
  for (const end of ["closeFin", "closeRst"] as const) {
    await using peer = await startScriptedPeer();
    const failing = fail({ what: "", uri: peer.uri, says: NO_MQTT, permanent: false });
    for (let attempt = 0; attempt < 2; attempt++) {
      const connection = await peer.accept();
      await connection.readPacket();
      await connection[end]();
    }
    await failing;
  }
});

Deno.test("MQTTClient.connect() tells the code with which a WebSocket was closed instead of CONNACK", async () => {
  await using peer = await startWebSocketPeer();
  const says = /closed with code 1008, "UnknownIssuer"; check the path of the URI; the broker's log may tell more/;
  const failing = fail({ what: "", uri: peer.uri, says, permanent: false });
  for (let attempt = 0; attempt < 2; attempt++) {
    const connection = await peer.accept();
    await connection.read();
    await connection.close(1008, "UnknownIssuer");
  }
  await failing;
});

Deno.test("MQTTClient.connect() gives up a broker that does not answer, with a TimeoutError as the cause", async () => {
  for (const scheme of ["mqtt", "mqtts", "ws", "wss"]) {
    await using peer = await startScriptedPeer();
    const uri = peer.uri.replace("mqtt:", `${scheme}:`);
    const client = new MQTTClient({ config: { connect_timeout: 0.05, auto_reconnect: false } });
    const error = await assertRejects(() => client.connect(uri), ConnectError, "within 0.05 s");
    assert(error.cause instanceof DOMException && error.cause.name === "TimeoutError");
    assertEquals(error.permanent, false);
  }
});

Deno.test("MQTTClient.connect() takes what credentials() and extraHeaders() throw for what it is", async () => {
  // Words that mean something else where TLS says them.
  const failing = () => {
    throw new Error("invalid peer certificate: UnknownIssuer, 401, AccessDenied");
  };
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, () => new Response());
  const uri = `ws://127.0.0.1:${server.addr.port}/`;
  for (const fails of [failing, () => Promise.reject(new Error("invalid peer certificate: UnknownIssuer"))]) {
    const config = { auto_reconnect: false };
    const errors = [
      await assertRejects(() => new MQTTClient({ config, credentials: fails }).connect(uri), ConnectError),
      await assertRejects(() => new MQTTClient({ config }).connect(uri, { extraHeaders: fails }), ConnectError),
    ];
    assertMatch(errors[0].message, /credentials\(\) failed: invalid peer certificate: UnknownIssuer[^;]*$/);
    assertMatch(errors[1].message, /extraHeaders\(\) failed: invalid peer certificate: UnknownIssuer[^;]*$/);
    for (const error of errors) {
      assertEquals(error.permanent, false);
      assert(error.cause instanceof Error);
    }
  }
  await server.shutdown();
});

Deno.test("MQTTClient.connect() rejects headers that HTTP does not know, without quoting them", async () => {
  for (const extraHeaders of [{ "a b": "s3cret" }, { a: "s3cret€" }, [["a", "s3cret\r\nb: c"]], { a: "s3cret\x01" }]) {
    const client = new MQTTClient();
    const uri = "ws://127.0.0.1:1/";
    const error = await assertRejects(
      () => client.connect(uri, { extraHeaders: extraHeaders as HeadersInit }),
      ConnectError,
    );
    assertMatch(error.message, /extraHeaders/);
    assertEquals(error.permanent, true);
    assertEquals(Deno.inspect(error).includes("s3cret"), false);
  }
});

Deno.test("connectError() names the permission that was denied, for every scheme", () => {
  const denied = (words: string) => new Deno.errors.NotCapable(words);
  const cases = [
    ["mqtt://broker", `Requires net access to "broker:1883"`, "run with --allow-net=broker:1883"],
    ["wss://[::1]/mqtt?t=s3cret", `Requires net access to "[::1]:443"`, "run with --allow-net=[::1]:443"],
    [
      "unix:/run/a",
      `Requires read access to "/run/a"`,
      "run with --allow-read=/run/a --allow-write=/run/a --allow-net=unix:/run/a",
    ],
    [
      "unix:./run/a",
      `Requires net access to "unix:${Deno.cwd()}/run/a"`,
      ["read=", "write=", "net=unix:"].reduce(
        (says, allow) => `${says} --allow-${allow}${Deno.cwd()}/./run/a`,
        "run with",
      ),
    ],
    // By a transport of the user's own.
    ["mqtt://broker", `Requires net access to "proxy:3128"`, `Requires net access to "proxy:3128"`],
  ];
  for (const [uri, words, says] of cases) {
    const error = connectError(parseEndpoint(uri), denied(words));
    assertEquals(error.message, `Cannot connect to ${parseEndpoint(uri).uri}: ${says}`);
    assertEquals(error instanceof ConnectError && error.permanent, true);
  }
});

Deno.test("connectError() lets ConnectError and ConfigError through, and wraps everything else", () => {
  const endpoint = parseEndpoint("mqtt://broker");
  for (const error of [new ConnectError("a"), new ConfigError("b")]) assertEquals(connectError(endpoint, error), error);
  const wrapped = connectError(endpoint, "just words");
  assert(wrapped instanceof ConnectError);
  assertEquals([wrapped.message, wrapped.cause], ["Cannot connect to mqtt://broker:1883: just words", "just words"]);
});

/** Answers requests with 401. Gives their Authorization. */
async function refuseUpgrades(listener: Deno.TlsListener): Promise<(string | undefined)[]> {
  const authorizations = [];
  for await (const conn of listener) {
    try {
      const buffer = new Uint8Array(4096);
      const length = await conn.read(buffer);
      const request = new TextDecoder().decode(buffer.subarray(0, length ?? 0));
      authorizations.push(/^authorization: (.*)\r$/im.exec(request)?.[1]);
      await conn.write(new TextEncoder().encode("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"));
    } catch {
      // HTTP/2 is refused by ALPN.
    }
    conn.close();
  }
  return authorizations;
}
