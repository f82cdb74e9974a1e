import { assert, assertEquals, assertInstanceOf, assertMatch, assertRejects, assertStrictEquals } from "@std/assert";
import {
  type ClientConfig,
  ClientError,
  ConnectError,
  MQTTClient,
  type MQTTClientOptions,
  ProtocolError,
} from "../../mod.ts";
import { bytes, hex } from "../codec/bytes.ts";
import { createPipe } from "../helpers/pipe.ts";
import { startFaultProxy } from "../helpers/fault_proxy.ts";
import {
  CONNACK_SESSION_PRESENT,
  DISCONNECT,
  event,
  PINGREQ,
  PINGRESP,
  playBroker,
  type PlayedBroker,
  QUICK,
  recordEvents,
} from "./played_broker.ts";

/** Fails fast, after three attempts at the most. */
const THREE_ATTEMPTS = { ...QUICK, reconnect_retries: 2 };

/** A promise that nobody resolves. */
const never = () => new Promise<never>(() => {});

// Each refusal of 3.1.1: the reason code that means the same, its words, and how many attempts are made of two.
const REFUSALS = [
  [1, 0x84, "unacceptable protocol version", 1],
  [2, 0x85, "identifier rejected", 1],
  [3, 0x88, "server unavailable", 3],
  [4, 0x86, "bad user name or password", 1],
  [5, 0x87, "not authorized", 1],
] as const;

for (const [returnCode, reasonCode, words, attempts] of REFUSALS) {
  Deno.test(`MQTTClient.connect() rejects for return code ${returnCode}, after ${attempts} of 3 attempts`, async () => {
    await using broker = await playBroker();
    const client = new MQTTClient({ config: { ...THREE_ATTEMPTS, username: "user", password: "secret" } });
    const events = recordEvents(client);
    const connecting = assertRejects(() => client.connect(broker.uri), ConnectError, words);
    for (let i = 0; i < attempts; i++) {
      const connection = await broker.welcome(`20 02 00 0${returnCode}`);
      await connection.expectEnd();
    }
    const error = await connecting;
    assertEquals([error.returnCode, error.reasonCode], [returnCode, reasonCode]);
    assert(error.message.includes(broker.uri) && !Deno.inspect(error).includes("secret"));
    assertEquals(broker.peer.connectionCount, attempts);
    assertEquals(events, ["reconnecting 1", "reconnecting 2"].slice(0, attempts - 1));
    assertEquals(client.connected, false);
    assertEquals(client.connack, { returnCode, sessionPresent: false, properties: {} });
  });
}

Deno.test("MQTTClient sends the same CONNECT again when it reconnects, with its will and what it logs in with", async () => {
  await using broker = await playBroker();
  const will = { topic: "w", message: "gone", qos: 1, retain: true } as const;
  const client = new MQTTClient({ config: { ...QUICK, will, password: "of the configuration", keep_alive: 7 } });
  const uri = broker.uri.replace("//", "//us%20er:p%40ss@");
  const [first] = await Promise.all([broker.welcome(), client.connect(uri)]);
  assert(new TextDecoder().decode(first.connect).endsWith("\0\x05us er\0\x04p@ss"));
  const [second] = await Promise.all([broker.welcome(), event(client, "connect"), first.peer.close()]);
  assertEquals(second.connect, first.connect);
  const [third] = await Promise.all([broker.welcome(), client.reconnect(), second.expectEnd(DISCONNECT)]);
  assertEquals(third.connect, first.connect);
  await Promise.all([client.disconnect(), third.expectEnd(DISCONNECT)]);
});

// User and password in the URI, those of the configuration, and what is sent.
const LOGINS: readonly [userInfo: string, config: ClientConfig, sent: string][] = [
  ["", { username: "bob", password: "b" }, "0003 'bob' 0001 'b'"],
  ["", { username: "", password: "" }, "0000 0000"],
  ["alice:a@", { username: "bob", password: "b" }, "0005 'alice' 0001 'a'"],
  ["alice:@", { password: "b" }, "0005 'alice' 0000"],
  ["alice:@", { username: "alice", password: "b" }, "0005 'alice' 0000"],
  ["alice@", { password: "b" }, "0005 'alice' 0001 'b'"],
  ["alice@", { username: "alice", password: "b" }, "0005 'alice' 0001 'b'"],
  ["alice@", { username: "bob", password: "b" }, "0005 'alice'"],
  ["alice@", { username: "", password: "b" }, "0005 'alice'"],
  [":a@", { username: "bob", password: "b" }, "0003 'bob' 0001 'a'"],
];

Deno.test("MQTTClient.connect() sends the password of the configuration for no other user than its own", async () => {
  for (const [userInfo, config, sent] of LOGINS) {
    await using broker = await playBroker();
    const client = new MQTTClient({ clientId: "id", config: { ...QUICK, ...config } });
    const uri = broker.uri.replace("//", `//${userInfo}`);
    const [connection] = await Promise.all([broker.welcome(), client.connect(uri)]);
    assertEquals(hex(connection.connect.slice(16)), hex(bytes(sent)), userInfo);
    await Promise.all([client.disconnect(), connection.expectEnd(DISCONNECT)]);
  }
});

Deno.test("MQTTClient.connect() goes on after a refusal that a retry can cure", async () => {
  await using broker = await playBroker();
  const client = new MQTTClient({ config: QUICK });
  const connecting = client.connect(broker.uri);
  await (await broker.welcome("20 02 00 03")).expectEnd();
  const connection = await broker.welcome();
  assertEquals(await connecting, 0);
  assertEquals(client.stats.reconnects, 0);
  await Promise.all([client.disconnect(), connection.expectEnd(DISCONNECT)]);
});

Deno.test("MQTTClient.connect() without auto_reconnect makes one attempt", async () => {
  await using broker = await playBroker();
  const client = new MQTTClient({ config: { auto_reconnect: false } });
  const connecting = assertRejects(() => client.connect(broker.uri), ConnectError);
  await (await broker.welcome("20 02 00 03")).expectEnd();
  assertEquals((await connecting).returnCode, 3);
  assertEquals(broker.peer.connectionCount, 1);
});

Deno.test("MQTTClient.connect() rejects with the cause when nobody listens", async () => {
  const proxy = await startFaultProxy(1);
  await proxy[Symbol.asyncDispose]();
  const client = new MQTTClient({ config: { auto_reconnect: false } });
  const error = await assertRejects(() => client.connect(proxy.uri), ConnectError, "refused");
  assertMatch(error.message, new RegExp(proxy.uri));
  assertEquals([error.returnCode, error.reasonCode], [undefined, undefined]);
  assertInstanceOf(error.cause, Deno.errors.ConnectionRefused);
});

// What a peer may answer to CONNECT that is no CONNACK.
const NONSENSE: readonly [what: string, answer: string, message: RegExp][] = [
  ["a session for a clean start", CONNACK_SESSION_PRESENT, /session is present/],
  ["a reserved return code", "20 02 00 06", /reserved/],
  ["a session together with a refusal", "20 02 01 05", /session present/],
  ["another packet", "30 03 0001 'a'", /before CONNACK/],
  ["a ping response", PINGRESP, /before CONNACK/],
  ["HTTP", "'HTTP/1.1 400 Bad Request' 0d0a", /Malformed|Unexpected/],
  ["an endless length", "20 ff ff ff ff 01", /remaining length/],
  ["AUTH", "f0 00", /./],
];

for (const [what, answer, message] of NONSENSE) {
  Deno.test(`MQTTClient.connect() rejects when the peer answers ${what}`, async () => {
    await using broker = await playBroker();
    const client = new MQTTClient({ config: { auto_reconnect: false } });
    const connecting = assertRejects(() => client.connect(broker.uri), ConnectError);
    const connection = await broker.welcome(answer);
    const error = await connecting;
    assertMatch(error.message, message);
    assertInstanceOf(error.cause, ProtocolError);
    await connection.expectEnd();
    await client.disconnect();
  });
}

for (const how of ["closeFin", "closeRst"] as const) {
  Deno.test(`MQTTClient.connect() rejects when the peer ends the connection before CONNACK (${how})`, async () => {
    await using broker = await playBroker();
    const client = new MQTTClient({ config: { auto_reconnect: false } });
    const connecting = assertRejects(() => client.connect(broker.uri), ConnectError, broker.uri);
    const connection = await broker.accept();
    await connection.peer[how]();
    const error = await connecting;
    assert(error.cause instanceof Error);
  });
}

async function assertTimeout(connecting: Promise<number>): Promise<void> {
  const error = await assertRejects(() => connecting, ConnectError, "within 0.05 s");
  assertInstanceOf(error.cause, DOMException);
  assertEquals(error.cause.name, "TimeoutError");
}

Deno.test("MQTTClient.connect() gives up a peer that accepts and says nothing after connect_timeout, each time", async () => {
  await using broker = await playBroker();
  const client = new MQTTClient({ config: { ...THREE_ATTEMPTS, connect_timeout: 0.05 } });
  const connecting = assertTimeout(client.connect(broker.uri));
  for (let i = 0; i < 3; i++) await (await broker.accept()).expectEnd();
  await connecting;
  assertEquals(broker.peer.connectionCount, 3);
});

Deno.test("MQTTClient.connect() holds connect_timeout while the transport is opened, and closes one that is late", async () => {
  const [end, other] = createPipe();
  const opened = Promise.withResolvers<typeof end>();
  const client = new MQTTClient({
    transport: () => opened.promise,
    config: { auto_reconnect: false, connect_timeout: 0.05 },
  });
  await assertTimeout(client.connect("mqtt://broker"));
  opened.resolve(end);
  assertEquals(await other.read(), null);
});

Deno.test("MQTTClient.connect() holds connect_timeout while credentials are fetched", async () => {
  const client = new MQTTClient({
    credentials: never,
    config: { auto_reconnect: false, connect_timeout: 0.05 },
  });
  await assertTimeout(client.connect("mqtt://broker"));
});

Deno.test("MQTTClient.connect() rejects with the error of the credentials as its cause", async () => {
  const cause = new RangeError("no token");
  const client = new MQTTClient({ credentials: () => Promise.reject(cause), config: { auto_reconnect: false } });
  const error = await assertRejects(() => client.connect("mqtt://broker"), ConnectError, "no token");
  assertStrictEquals(error.cause, cause);
});

Deno.test("MQTTClient.connect() rejects with the error of a transport of the user's own as its cause", async () => {
  const cause = new RangeError("no tunnel");
  const client = new MQTTClient({ transport: () => Promise.reject(cause), config: { auto_reconnect: false } });
  const error = await assertRejects(() => client.connect("mqtt://broker"), ConnectError, "no tunnel");
  assertStrictEquals(error.cause, cause);
});

// What a transport of the user's own may give that is none.
const NO_TRANSPORTS: readonly unknown[] = [
  undefined,
  null,
  5,
  {},
  { read: never, write: never },
  { read: never, close() {} },
];

Deno.test("MQTTClient.connect() rejects at once when a transport of the user's own gives none", async () => {
  for (const none of NO_TRANSPORTS) {
    for (const transport of [() => none, () => Promise.resolve(none)]) {
      const client = new MQTTClient({ transport, config: THREE_ATTEMPTS } as unknown as MQTTClientOptions);
      const events = recordEvents(client);
      const error = await assertRejects(
        () => client.connect("mqtt://broker"),
        ConnectError,
        "read(), write() and close()",
      );
      assertEquals([error.permanent, events], [true, []]);
      await client.disconnect();
    }
  }
});

Deno.test("MQTTClient.connect() that was aborted rejects when a late transport is none, or cannot be closed", async () => {
  const failing = { read: never, write: never, close: () => Promise.reject(new Error("closed")) };
  const throwing = {
    ...failing,
    close() {
      throw new Error("closed");
    },
  };
  for (const late of [undefined, failing, throwing]) {
    const controller = new AbortController();
    const opened = Promise.withResolvers<unknown>();
    const transport = () => {
      controller.abort(new RangeError("enough"));
      return opened.promise;
    };
    const client = new MQTTClient({ transport } as unknown as MQTTClientOptions);
    const connecting = client.connect("mqtt://broker", { signal: controller.signal });
    opened.resolve(late);
    await assertRejects(() => connecting, RangeError, "enough");
    await client.disconnect();
  }
});

/** Ways to be on the way to a connection. */
const STAGES: Readonly<Record<string, (broker: PlayedBroker) => Stage | Promise<Stage>>> = {
  "credentials are fetched": () => {
    const asked = Promise.withResolvers<void>();
    const credentials = () => {
      asked.resolve();
      return never();
    };
    return { client: new MQTTClient({ credentials }), reached: () => asked.promise };
  },
  "the transport is opened": () => {
    const asked = Promise.withResolvers<void>();
    const transport = () => {
      asked.resolve();
      return never();
    };
    return { client: new MQTTClient({ transport }), reached: () => asked.promise };
  },
  "CONNACK is waited for": (broker) => ({
    client: new MQTTClient(),
    reached: async () => void await broker.accept(),
  }),
  "it waits to retry": (broker) => {
    const client = new MQTTClient();
    return {
      client,
      reached: async () => {
        const waiting = event(client, "reconnecting");
        await (await broker.accept()).peer.close();
        await waiting;
      },
    };
  },
};

interface Stage {
  client: MQTTClient;
  reached(): Promise<void>;
}

for (const [stage, prepare] of Object.entries(STAGES)) {
  Deno.test(`MQTTClient.connect() rejects with the reason of its signal while ${stage}`, async () => {
    await using broker = await playBroker();
    const { client, reached } = await prepare(broker);
    const controller = new AbortController(), reason = new RangeError("enough");
    const connecting = client.connect(broker.uri, { signal: controller.signal });
    const published = client.publish("a", "x", { qos: 1 });
    await reached();
    controller.abort(reason);
    assertStrictEquals(await connecting.catch((error) => error), reason);
    await assertRejects(() => published, ClientError, "aborted");
    await assertRejects(() => client.ping(), ClientError, "will not reconnect");
    await client.disconnect();
  });

  Deno.test(`MQTTClient.disconnect() ends connect() while ${stage}`, async () => {
    await using broker = await playBroker();
    const { client, reached } = await prepare(broker);
    const connecting = client.connect(broker.uri);
    await reached();
    await Promise.all([
      client.disconnect(),
      assertRejects(() => connecting, ClientError, "disconnected by disconnect()"),
    ]);
    await assertRejects(() => client.ping(), ClientError, "call connect() again");
    assertEquals(client.connected, false);
  });

  Deno.test(`MQTTClient.reconnect() takes over from connect() while ${stage}`, async () => {
    await using broker = await playBroker();
    const { client, reached } = await prepare(broker);
    const controller = new AbortController();
    const connecting = client.connect(broker.uri, { signal: controller.signal });
    await reached();
    const again = client.reconnect();
    if (stage === "CONNACK is waited for" || stage === "it waits to retry") {
      const connection = await broker.welcome();
      assertEquals(await Promise.all([connecting, again]), [0, 0]);
      await Promise.all([client.disconnect(), connection.expectEnd(DISCONNECT)]);
    } else {
      controller.abort(new RangeError("enough"));
      await assertRejects(() => connecting, RangeError, "enough");
      await Promise.all([client.disconnect(), assertRejects(() => again, ClientError)]);
    }
  });
}

Deno.test("MQTTClient.connect() rejects with the reason of a signal that has aborted before, and connects to nothing", async () => {
  await using broker = await playBroker();
  const client = new MQTTClient();
  const reason = new RangeError("enough");
  const error = await client.connect(broker.uri, { signal: AbortSignal.abort(reason) }).catch((error) => error);
  assertStrictEquals(error, reason);
  assertEquals(broker.peer.connectionCount, 0);
  await assertRejects(() => client.ping(), ClientError, "call connect() first");
});

Deno.test("MQTTClient.connect() can be called again after it was aborted", async () => {
  await using broker = await playBroker();
  const client = new MQTTClient();
  for (let i = 0; i < 3; i++) {
    const controller = new AbortController();
    const connecting = client.connect(broker.uri, { signal: controller.signal });
    const connection = await broker.accept();
    controller.abort();
    await assertRejects(() => connecting, DOMException);
    await connection.expectEnd();
  }
  const [connection] = await Promise.all([broker.welcome(), client.connect(broker.uri)]);
  await Promise.all([client.disconnect(), connection.expectEnd(DISCONNECT)]);
});

Deno.test("The signal of MQTTClient.connect() does nothing once the connection is up", async () => {
  await using broker = await playBroker();
  const client = new MQTTClient({ config: QUICK });
  const controller = new AbortController();
  const [connection] = await Promise.all([
    broker.welcome(),
    client.connect(broker.uri, { signal: controller.signal }),
  ]);
  controller.abort();
  const pinging = client.ping();
  await connection.expect(PINGREQ);
  await connection.send(PINGRESP);
  await pinging;
  const restored = event(client, "connect");
  await connection.peer.close();
  const second = await broker.welcome();
  await restored;
  await Promise.all([client.disconnect(), second.expectEnd(DISCONNECT)]);
});

Deno.test("MQTTClient.connect() tries a list of brokers in turn, and each round counts as one attempt", async () => {
  await using first = await playBroker();
  await using second = await playBroker();
  const client = new MQTTClient({ config: { ...QUICK, reconnect_retries: 1, uri: [first.uri, second.uri] } });
  const events = recordEvents(client);
  const connecting = client.connect();
  await (await first.accept()).peer.close();
  await (await second.welcome("20 02 00 03")).expectEnd();
  await (await first.accept()).peer.close();
  const connected = event(client, "connect");
  const connection = await second.welcome();
  assertEquals(await connecting, 0);
  assertEquals((await connected).uri, second.uri);
  assertEquals(events, ["reconnecting 1", "connect"]);
  // After a loss the list is tried from its top.
  const again = event(client, "connect");
  await connection.peer.close();
  const top = await first.welcome();
  assertEquals((await again).uri, first.uri);
  await Promise.all([client.disconnect(), top.expectEnd(DISCONNECT)]);
});

Deno.test("MQTTClient.connect() ends with the last refusal when a list of brokers is used up", async () => {
  await using first = await playBroker();
  await using second = await playBroker();
  const client = new MQTTClient({ config: { auto_reconnect: false, uri: [first.uri, second.uri] } });
  const connecting = assertRejects(() => client.connect(), ConnectError, "not authorized");
  await (await first.welcome("20 02 00 04")).expectEnd();
  await (await second.welcome("20 02 00 05")).expectEnd();
  assertEquals((await connecting).returnCode, 5);
});

Deno.test("MQTTClient hides its password from every event and error", async () => {
  await using broker = await playBroker();
  const password = "hush-hush";
  const seen: unknown[] = [];
  const uri = broker.uri.replace("//", `//user:${password}@`);
  const client = new MQTTClient({ config: { ...QUICK, username: "user", password } });
  for (const type of ["connect", "disconnect", "reconnecting", "packet"]) {
    client.addEventListener(type, (event) => seen.push(event instanceof CustomEvent && event.detail));
  }
  const connecting = client.connect(uri);
  const refused = await broker.welcome("20 02 00 03");
  const [connection] = await Promise.all([broker.welcome(), connecting, refused.expectEnd()]);
  assert(new TextDecoder().decode(connection.connect).includes(password));
  const lost = event(client, "disconnect");
  await connection.send("30 03 0001 '+'");
  await lost;
  seen.push(client, client.connack, client.stats);
  const restored = event(client, "connect");
  const last = await broker.welcome();
  await restored;
  await Promise.all([client.disconnect(), last.expectEnd(DISCONNECT)]);
  const shown = seen.map((value) => Deno.inspect(value, { depth: 10, showHidden: true })).join("\n");
  assert(shown.includes("CONNECT") && !shown.includes(password), shown);
  const packets = seen.map((detail) => JSON.stringify(detail)).join();
  assert(!packets.includes(JSON.stringify([...new TextEncoder().encode(password)]).slice(1, -1)));
});

Deno.test("MQTTClient.connect() says that authentication data needs a method", async () => {
  await using broker = await playBroker();
  const client = new MQTTClient({
    config: { protocol_version: 5 },
    credentials: () => ({ authenticationData: Uint8Array.of(1) }),
  });
  const error = await assertRejects(() => client.connect(broker.uri), ConnectError, "authentication_method");
  assertEquals([error.permanent, broker.peer.connectionCount], [true, 0]);
});
