import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { ConnectError, MQTTClient, ProtocolError, QOS_1 } from "../../mod.ts";
import { bytes } from "../codec/bytes.ts";
import { brokerTest } from "../helpers/brokers.ts";
import { certificatesOfFile } from "../helpers/file_certificates.ts";
import { keepAwake } from "../helpers/keep_awake.ts";
import { createPipe, type PipeEnd } from "../helpers/pipe.ts";
import { BINARY, startWebSocketPeer, TEXT, type WebSocketPeerConnection } from "../helpers/websocket_peer.ts";
import { CONNACK, DISCONNECT, event, QUICK } from "./played_broker.ts";
import { clientSuite, VERSIONS } from "./suite.ts";

const { certificates } = await certificatesOfFile();

for (const [protocol_version, broker] of VERSIONS) {
  const config = { protocol_version };

  clientSuite(`mqtts, ${broker}`, (name, test) => {
    brokerTest(name, { listeners: ["mqtts"], certificates }, async ({ uris, certificates: { ca } }) => {
      await test({ uri: uris.mqtts, options: { caFile: ca }, config });
    });
  });

  clientSuite(`ws, ${broker}`, (name, test) => {
    brokerTest(name, { listeners: ["mqtt", "ws"] }, async ({ uris, ports }) => {
      await using _awake = await keepAwake(ports.mqtt);
      await test({ uri: `${uris.ws}/`, config });
    });
  });

  clientSuite(`wss, ${broker}`, (name, test) => {
    brokerTest(name, { listeners: ["mqtt", "wss"], certificates }, async ({ uris, ports, certificates: { ca } }) => {
      await using _awake = await keepAwake(ports.mqtt);
      await test({ uri: `${uris.wss}/`, options: { caFile: ca }, config });
    });
  });

  clientSuite(`password, ${broker}`, (name, test) => {
    brokerTest(name, { listeners: ["password"], users: { user: "pass word" } }, async ({ uris }) => {
      await test({ uri: uris.password, config: { ...config, username: "user", password: "pass word" } });
    });
  });
}

Deno.test("MQTTClient.connect() over ws sends user and password of the URI in CONNECT, not in the request", async () => {
  await using peer = await startWebSocketPeer();
  const client = new MQTTClient({ clientId: "id", config: QUICK });
  const connecting = client.connect(`${peer.uri.replace("//", "//us%40er:pass%2Fword@")}mqtt?a=b`);
  const request = await peer.request();
  assertEquals(request.line, "GET /mqtt?a=b HTTP/1.1");
  assertEquals([...request.headers.values()].some((value) => /us.*er|pass.*word/.test(value)), false);
  const connection = await request.upgrade();
  assertMatch(text((await connection.read()).payload), /id.*us@er.*pass\/word$/s);
  await connection.sendBinary(bytes(CONNACK));
  assertEquals(await connecting, 0);
  await end(client, connection);
});

Deno.test("MQTTClient over ws takes packets that are split over messages, and several in one", async () => {
  await using peer = await startWebSocketPeer();
  const client = new MQTTClient({ clientId: "id", config: QUICK });
  const connecting = client.connect(peer.uri);
  const connection = await peer.accept();
  await connection.read();
  await connection.sendBinary(...[...bytes(CONNACK)].map((byte) => [byte]));
  assertEquals(await connecting, 0);
  // The end of one packet, two whole ones, and the start of the next.
  const publish = (payload: string) => [...bytes("30 04 00 01 61"), ...new TextEncoder().encode(payload)];
  await connection.sendBinary(publish("1").slice(0, 3));
  await connection.sendBinary([
    ...publish("1").slice(3),
    ...publish("2"),
    ...publish("3"),
    ...publish("4").slice(0, 1),
  ]);
  await connection.sendBinary([], publish("4").slice(1));
  for (const payload of ["1", "2", "3", "4"]) assertEquals((await client.deliverMessage(5)).text(), payload);
  await end(client, connection);
});

Deno.test("MQTTClient over ws takes text for a breach of the protocol, UTF-8 or not, and reconnects", async () => {
  for (const words of ["41 42", "d0 00"]) {
    await using peer = await startWebSocketPeer();
    const client = new MQTTClient({ clientId: "id", config: QUICK });
    const connecting = client.connect(peer.uri);
    const connection = await welcome(await peer.accept());
    await connecting;
    const lost = event(client, "disconnect"), restored = event(client, "connect");
    await connection.send(TEXT, bytes(words));
    const { error, reasonCode, willReconnect } = await lost;
    assertEquals([error instanceof ProtocolError, reasonCode, willReconnect], [true, 0x82, true]);
    const next = await welcome(await peer.accept());
    await restored;
    await end(client, next);
  }
});

Deno.test("MQTTClient over ws tells the code and the reason with which the broker closed, and reconnects", async () => {
  await using peer = await startWebSocketPeer();
  const client = new MQTTClient({ clientId: "id", config: QUICK });
  const connecting = client.connect(peer.uri);
  const connection = await welcome(await peer.accept());
  await connecting;
  const lost = event(client, "disconnect"), restored = event(client, "connect");
  await connection.close(1012, "restart");
  const { error, willReconnect } = await lost;
  assertMatch(String(error), /closed with code 1012, "restart"/);
  assertEquals(willReconnect, true);
  const next = await welcome(await peer.accept());
  await restored;
  await end(client, next);
});

Deno.test("MQTTClient asks extraHeaders() and credentials() before every attempt, and waits for them", async () => {
  for (const wait of [false, true]) {
    await using peer = await startWebSocketPeer();
    let headersAsked = 0, credentialsAsked = 0;
    const answer = <Value>(value: Value): Value | Promise<Value> => wait ? Promise.resolve(value) : value;
    const client = new MQTTClient({
      clientId: "id",
      config: { ...QUICK, username: "not this", password: "nor this" },
      credentials: () => answer({ username: "user", password: `token ${++credentialsAsked}` }),
    });
    const extraHeaders = () => answer({ Authorization: `Bearer ${++headersAsked}` });
    const connecting = client.connect(peer.uri.replace("//", "//nor:this@"), { extraHeaders });
    await (await peer.request()).refuse(503);
    const takeAttempt = async (attempt: number) => {
      const request = await peer.request();
      assertEquals(request.headers.get("Authorization"), `Bearer ${attempt}`);
      const connection = await request.upgrade();
      assertMatch(text((await connection.read()).payload), new RegExp(`id.*user.*token ${attempt}$`, "s"));
      await connection.sendBinary(bytes(CONNACK));
      return connection;
    };
    const connection = await takeAttempt(2);
    await connecting;
    const restored = event(client, "connect");
    await connection.peer.closeRst();
    const next = await takeAttempt(3);
    await restored;
    await end(client, next);
    assertEquals([headersAsked, credentialsAsked], [3, 3]);
  }
});

Deno.test("MQTTClient sends headers that are given as they are, with every attempt", async () => {
  await using peer = await startWebSocketPeer();
  const client = new MQTTClient({ config: QUICK });
  const connecting = client.connect(peer.uri, { extraHeaders: [["X-Token", "1"]] });
  const refused = await peer.request();
  assertEquals(refused.headers.get("X-Token"), "1");
  await refused.refuse(503);
  const request = await peer.request();
  assertEquals(request.headers.get("X-Token"), "1");
  const connection = await welcome(await request.upgrade());
  await connecting;
  await end(client, connection);
});

Deno.test("MQTTClient takes a transport of the user's own, tells it where to, and asks it for every connection", async () => {
  const arrivals = new Queue<PipeEnd>();
  const asked: string[] = [];
  const client = new MQTTClient({
    clientId: "id",
    config: QUICK,
    transport: ({ scheme, hostname, port, path, username, password, uri }, { signal }) => {
      asked.push([scheme, hostname, port, path, username, password, uri, signal.aborted].join());
      if (asked.length === 1) return Promise.reject(new RangeError("not yet"));
      const [ours, theirs] = createPipe();
      arrivals.push(theirs);
      return Promise.resolve(ours);
    },
  });
  const connecting = client.connect("wss://user:password@broker.invalid/mqtt?a=b");
  const broker = await arrivals.take();
  const connect = await broker.read();
  assertMatch(text(connect), /id.*user.*password$/s);
  await broker.write(bytes(CONNACK));
  assertEquals(await connecting, 0);

  const publishing = client.publish("a", "1", { qos: QOS_1 });
  assertEquals(await broker.read(), bytes("32 06 00 01 61 00 01 31"));
  await broker.write(bytes("40 02 00 01"));
  await publishing;

  const restored = event(client, "connect");
  broker.close();
  const next = await arrivals.take();
  assertEquals(await next.read(), connect);
  await next.write(bytes(CONNACK));
  await restored;
  const disconnecting = client.disconnect();
  assertEquals(await next.read(), bytes(DISCONNECT));
  assertEquals(await next.read(), null);
  next.close();
  await disconnecting;
  const where = "wss,broker.invalid,443,/mqtt?a=b,user,password,wss://broker.invalid:443/mqtt?***,false";
  assertEquals(asked, [where, where, where]);
});

Deno.test("MQTTClient.connect() rejects with the ConnectError of a transport of the user's own, or wraps its error", async () => {
  const wanted = new ConnectError("the proxy says no", { permanent: true });
  const failing = new MQTTClient({ transport: () => Promise.reject(wanted) });
  assertEquals(await assertRejects(() => failing.connect("mqtt://broker.invalid"), ConnectError), wanted);
  const other = new MQTTClient({
    config: { auto_reconnect: false },
    transport: () => {
      throw new RangeError("not today");
    },
  });
  const error = await assertRejects(() => other.connect("mqtt://broker.invalid"), ConnectError, "not today");
  assertEquals([error.cause instanceof RangeError, error.permanent], [true, false]);
});

Deno.test("MQTTClient closes the transport of the user's own that comes after it has given up, and tells it to give up", async () => {
  const called = Promise.withResolvers<void>(), late = Promise.withResolvers<PipeEnd>();
  const [ours, theirs] = createPipe();
  let told: unknown;
  const client = new MQTTClient({
    transport: (_, { signal }) => {
      signal.addEventListener("abort", () => told = signal.reason);
      called.resolve();
      return late.promise;
    },
  });
  const controller = new AbortController();
  const connecting = client.connect("mqtt://broker.invalid", { signal: controller.signal });
  await called.promise;
  const reason = new RangeError("enough");
  controller.abort(reason);
  assertEquals(await assertRejects(() => connecting, RangeError), reason);
  assertEquals(told, reason);
  late.resolve(ours);
  assertEquals(await theirs.read(), null);
});

/** Takes CONNECT and answers it. */
async function welcome(connection: WebSocketPeerConnection): Promise<WebSocketPeerConnection> {
  assertEquals((await connection.read()).opcode, BINARY);
  await connection.sendBinary(bytes(CONNACK));
  return connection;
}

/** Disconnects in good order. */
async function end(client: MQTTClient, connection: WebSocketPeerConnection): Promise<void> {
  const disconnecting = client.disconnect();
  assertEquals((await connection.read()).payload, bytes(DISCONNECT));
  await connection.closed();
  await disconnecting;
}

function text(bytes: Uint8Array | null): string {
  return new TextDecoder().decode(bytes ?? undefined);
}

/** Hands over what comes to who waits for it. */
class Queue<Value> {
  readonly #values: Value[] = [];
  #wake = Promise.withResolvers<void>();

  push(value: Value): void {
    this.#values.push(value);
    this.#wake.resolve();
  }

  async take(): Promise<Value> {
    for (;;) {
      const value = this.#values.shift();
      if (value !== undefined) return value;
      this.#wake = Promise.withResolvers();
      await this.#wake.promise;
    }
  }
}
