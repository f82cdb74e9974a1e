import { assert, assertEquals, assertInstanceOf, assertMatch, assertRejects, assertThrows } from "@std/assert";
import {
  ClientError,
  ConfigError,
  ConnectError,
  ConnectionLostError,
  MQTTClient,
  type MQTTClientOptions,
} from "../../mod.ts";
import { DISCONNECT, event, PINGREQ, PINGRESP, playBroker, playLink, QUICK, QUICK_5 } from "./played_broker.ts";

/** The calls that need a connection. */
const CALLS: Readonly<Record<string, (client: MQTTClient) => Promise<unknown>>> = {
  publish: (client) => client.publish("a", "x"),
  "publish at QoS 1": (client) => client.publish("a", "x", { qos: 1 }),
  subscribe: (client) => client.subscribe("a"),
  unsubscribe: (client) => client.unsubscribe("a"),
  ping: (client) => client.ping(),
  deliverMessage: (client) => client.deliverMessage(),
};

async function assertRefused(client: MQTTClient, message: RegExp): Promise<void> {
  for (const [name, call] of Object.entries(CALLS)) {
    const error = await assertRejects(() => call(client), ClientError);
    assertEquals(error.name, "ClientError", name);
    assertMatch(error.message, message, name);
  }
}

Deno.test("MQTTClient refuses every call before connect(), and says so", async () => {
  const client = new MQTTClient();
  await assertRefused(client, /call connect\(\) first/);
  const error = await assertRejects(() => client.reconnect(), ClientError);
  assertMatch(error.message, /before connect\(\)/);
  assertEquals(client.connected, false);
});

Deno.test("MQTTClient.disconnect() before connect() does nothing", async () => {
  const client = new MQTTClient();
  await client.disconnect();
  await client[Symbol.asyncDispose]();
  await assertRefused(client, /call connect\(\) first/);
});

Deno.test("MQTTClient.disconnect() ends the iterators of a client that never had a connection", async () => {
  const client = new MQTTClient();
  const ends = [client[Symbol.asyncIterator]().next(), client.messages("#").next()];
  await client.disconnect();
  for (const end of ends) assertEquals(await end, { done: true, value: undefined });
});

Deno.test("MQTTClient refuses every call after disconnect(), and says what to do", async () => {
  await using link = await playLink();
  const { client, connection } = link;
  await Promise.all([client.disconnect(), connection.expectEnd(DISCONNECT)]);
  await assertRefused(client, /disconnected: call connect\(\) again/);
});

Deno.test("MQTTClient refuses every call while it disconnects", async () => {
  await using link = await playLink();
  const { client, connection } = link;
  const disconnecting = client.disconnect();
  for (const [name, call] of Object.entries(CALLS)) {
    if (name !== "deliverMessage") await assertRejects(() => call(client), ClientError, "is disconnecting", name);
  }
  await assertRejects(() => client.connect(link.broker.uri), ClientError, "is disconnecting");
  await assertRejects(() => client.reconnect(), ClientError, "is disconnecting");
  const waiting = client.deliverMessage();
  await Promise.all([disconnecting, connection.expectEnd(DISCONNECT)]);
  await assertRejects(() => waiting, ClientError, "disconnected by disconnect()");
});

Deno.test("MQTTClient refuses every call after it has given up, and can connect again", async () => {
  await using link = await playLink({ auto_reconnect: false });
  const { client, connection, broker } = link;
  const lost = event(client, "disconnect");
  await connection.peer.close();
  assertInstanceOf((await lost).error, ConnectionLostError);
  await assertRefused(client, /will not reconnect/);
  await Promise.all([client.connect(broker.uri), broker.welcome()]);
  assertEquals(client.connected, true);
});

Deno.test("MQTTClient refuses every call after connect() has failed", async () => {
  await using broker = await playBroker();
  const client = new MQTTClient({ config: { auto_reconnect: false } });
  const failed = assertRejects(() => client.connect(broker.uri), ConnectError);
  await broker.welcome("20 02 00 05");
  await failed;
  await assertRefused(client, /will not reconnect.*not authorized/);
});

const BAD_TOPICS: readonly [topic: unknown, message: RegExp][] = [
  ["", /must not be empty/],
  ["a/#", /must not contain wildcards/],
  ["+/a", /must not contain wildcards/],
  ["a\0b", /U\+0000/],
  ["x".repeat(65_536), /65536 bytes long, 65535 are allowed/],
  ["é".repeat(32_768), /65536 bytes long/],
  ["\ud800", /lone surrogate/],
  [undefined, /must be a string, not undefined/],
  [null, /must be a string, not null/],
  [5, /must be a string, not number/],
];

const BAD_FILTERS: readonly [filter: unknown, message: RegExp][] = [
  ["", /must not be empty/],
  ["a/#/b", /# must be the last level/],
  ["a#", /must be a whole level/],
  ["a+/b", /must be a whole level/],
  ["a\0", /U\+0000/],
  ["x".repeat(65_536), /65536 bytes long/],
  ["$share/a", /topic filter must follow/],
  ["$share//a", /share name/],
  [5, /must be a string, not number/],
  [null, /must be a string, not null/],
];

type Untyped = { [name in keyof MQTTClient]: (...args: unknown[]) => Promise<unknown> };

/** What a program without types sees. */
function untyped(client: MQTTClient): Untyped {
  return client as unknown as Untyped;
}

Deno.test("MQTTClient refuses wrong arguments with TypeError or RangeError before anything is sent", async () => {
  await using link = await playLink();
  const { client, connection } = link;
  const loose = untyped(client);
  for (const [topic, message] of BAD_TOPICS) {
    const error = await assertRejects(() => loose.publish(topic, "x"), TypeError);
    assertMatch(error.message, message);
    assert(error.message.length < 300, "a long topic is cut");
  }
  for (const [filter, message] of BAD_FILTERS) {
    const list = [["good", 0], [filter, 0]];
    assertMatch((await assertRejects(() => loose.subscribe(list), TypeError)).message, message);
    assertMatch((await assertRejects(() => loose.unsubscribe(["good", filter]), TypeError)).message, message);
    assertMatch(assertThrows(() => loose.messages(filter), TypeError).message, message);
    if (typeof filter === "string") {
      assertMatch((await assertRejects(() => loose.subscribe(filter), TypeError)).message, message);
      assertMatch((await assertRejects(() => loose.unsubscribe(filter), TypeError)).message, message);
    }
  }
  const wrong: readonly [call: () => Promise<unknown>, type: typeof TypeError, message: RegExp][] = [
    [() => loose.publish("a"), TypeError, /must be a Uint8Array or a string, not undefined/],
    [() => loose.publish("a", null), TypeError, /not null/],
    [() => loose.publish("a", 5), TypeError, /not number/],
    [() => loose.publish("a", { a: 1 }), TypeError, /not Object/],
    [() => loose.publish("a", new Uint16Array(1)), TypeError, /not Uint16Array/],
    [() => loose.publish("a", new ArrayBuffer(1)), TypeError, /not ArrayBuffer/],
    [() => loose.publish("a", "x", { qos: 3 }), RangeError, /QoS must be 0, 1 or 2, not 3/],
    [() => loose.publish("a", "x", { qos: -1 }), RangeError, /QoS must be 0, 1 or 2/],
    [() => loose.publish("a", "x", { qos: 0.5 }), RangeError, /QoS must be 0, 1 or 2/],
    [() => loose.publish("a", "x", { qos: NaN }), RangeError, /QoS must be 0, 1 or 2/],
    [() => loose.publish("a", "x", { qos: "1" }), TypeError, /QoS must be 0, 1 or 2, not "1"/],
    [() => loose.publish("a", "x", { retain: 1 }), TypeError, /retain must be true or false/],
    [() => loose.subscribe(), TypeError, /at least one \[filter, qos\]/],
    [() => loose.subscribe([]), TypeError, /at least one \[filter, qos\]/],
    [() => loose.subscribe(null), TypeError, /at least one \[filter, qos\]/],
    [() => loose.subscribe(5), TypeError, /at least one \[filter, qos\]/],
    [() => loose.subscribe(["a"]), TypeError, /\[filter, qos\] or \{ filter, qos \}, not "a"/],
    [() => loose.subscribe([{}]), TypeError, /must be a string, not undefined/],
    [() => loose.subscribe("a", 3), RangeError, /QoS must be 0, 1 or 2/],
    [() => loose.subscribe([["a", 3]]), RangeError, /QoS must be 0, 1 or 2/],
    [() => loose.subscribe([["a", "1"]]), TypeError, /QoS must be 0, 1 or 2/],
    [() => loose.subscribe([{ filter: "a", retainHandling: 3 }]), RangeError, /retainHandling must be 0, 1 or 2/],
    [() => loose.subscribe([{ filter: "a", noLocal: 1 }]), TypeError, /noLocal must be a boolean, not number/],
    [() => loose.subscribe([{ filter: "a", retainAsPublished: "" }]), TypeError, /retainAsPublished must be a boolean/],
    [() => loose.unsubscribe(), TypeError, /at least one/],
    [() => loose.unsubscribe([]), TypeError, /at least one/],
    [() => loose.unsubscribe(null), TypeError, /at least one/],
    [() => loose.deliverMessage(-1), RangeError, /timeout must be 0 or more/],
    [() => loose.deliverMessage(NaN), RangeError, /timeout must be 0 or more/],
    [() => loose.deliverMessage("1"), TypeError, /number of seconds, not string/],
    [() => loose.disconnect({ drain: -1 }), RangeError, /drain must be 0 or more/],
    [() => loose.disconnect({ drain: "1" }), TypeError, /number of seconds/],
    [() => loose.reconnect({ cleanSession: "no" }), TypeError, /cleanSession must be a boolean, not string/],
  ];
  for (const [call, type, message] of wrong) assertMatch((await assertRejects(call, type)).message, message);
  assertThrows(() => client.messages("a", { limit: 0 }), RangeError, "limit must be at least 1");
  assertThrows(() => client.messages("a", { limit: NaN }), RangeError, "limit must be at least 1");
  assertThrows(() => loose.messages("a", { limit: "1" }), TypeError, "limit must be a number, not string");
  assertThrows(() => Object.assign(client, { onmessage: "x" }), TypeError, "onmessage must be a function or null");
  // Nothing of all that was sent, and the link is as it was.
  const pinging = client.ping();
  await connection.expect(PINGREQ);
  await connection.send(PINGRESP);
  await pinging;
});

Deno.test("MQTTClient.publish() refuses what no packet can hold, to the byte", async () => {
  const client = new MQTTClient();
  const longest = 268_435_455 - 2 - 2;
  const bytes = new Uint8Array(longest);
  for (const [topic, length] of [["a", longest - 1], ["é", longest - 2], ["€", longest - 3]] as const) {
    await assertRejects(() => client.publish(topic, bytes.subarray(0, length), { qos: 1 }), ClientError);
    await assertRejects(() => client.publish(topic, bytes.subarray(0, length + 1), { qos: 1 }), RangeError, "can hold");
  }
});

const BAD_URIS: readonly [uri: unknown, message: RegExp][] = [
  ["", /must start with mqtt:\/\//],
  ["localhost", /must start with mqtt:\/\//],
  ['"mqtt://localhost', /must start with mqtt:\/\//],
  ["http://localhost", /its scheme is not one of mqtt:\/\//],
  ["tcp://localhost:1883", /its scheme is not one of/],
  ["mqtt:localhost", /"\/\/" must follow "mqtt:"/],
  ["mqtt://", /host/],
  ["mqtt://localhost:99999", /port/],
  ["mqtt://localhost:0", /port 0/],
  ["mqtt://local host", /malformed/],
  ["mqtt://localhost/path", /no path/],
  ["mqtt://localhost#part", /%23/],
  ["unix:", /names no socket/],
  [5, /must be a string, not number/],
  [null, /must be a string/],
];

Deno.test("MQTTClient.connect() refuses a malformed URI with TypeError, at once, and says what is wrong with it", async () => {
  const client = new MQTTClient({ config: { reconnect_retries: -1 } });
  for (const [uri, message] of BAD_URIS) {
    assertMatch((await assertRejects(() => untyped(client).connect(uri), TypeError)).message, message, String(uri));
  }
  await assertRefused(client, /call connect\(\) first/);
});

Deno.test("MQTTClient.connect() without any URI says where to give one", async () => {
  await assertRejects(() => new MQTTClient().connect(), ClientError, "give a URI to connect() or as `uri`");
});

const BAD_CONFIGS: readonly [config: Record<string, unknown>, message: RegExp][] = [
  [{ keepalive: 10 }, /keepalive: unknown key, did you mean keep_alive\?/],
  [{ keep_alive: -1 }, /keep_alive: found -1/],
  [{ keep_alive: 1.5 }, /keep_alive: found 1\.5/],
  [{ default_qos: 3 }, /default_qos: found 3, must be 0, 1 or 2/],
  [{ auto_reconnect: "yes" }, /auto_reconnect/],
  [{ will: { topic: "a/#", message: "" } }, /will\.topic.*wildcards/],
  [{ will: { message: "" } }, /will\.topic: is missing/],
  [{ topics: { "a/#": { qos: 1 } } }, /wildcards/],
  [{ queue_full: "drop" }, /queue_full/],
  [{ max_queued_messages: 0 }, /max_queued_messages/],
  [{ password: 5 }, /password/],
  [{ uri: ["mqtt://127.0.0.1:1", "mqtt//x"] }, /uri\[1\]: found a string: it must start with mqtt:/],
];

Deno.test("MQTTClient refuses a faulty configuration with ConfigError when it is made", () => {
  for (const [config, message] of BAD_CONFIGS) {
    assertMatch(assertThrows(() => new MQTTClient({ config }), ConfigError).message, message);
  }
  const all = Object.assign({}, ...BAD_CONFIGS.slice(0, 2).map(([config]) => config), { default_retain: 0 });
  const { message } = assertThrows(() => new MQTTClient({ config: all }), ConfigError);
  assertMatch(message, /keepalive[^]*keep_alive: found -1[^]*default_retain/);
  assertThrows(() => new MQTTClient({ config: [] } as unknown as MQTTClientOptions), ConfigError);
});

Deno.test("MQTTClient refuses credentials and a transport that are no functions", () => {
  for (const name of ["credentials", "transport"]) {
    assertThrows(() => new MQTTClient({ [name]: { username: "user" } }), TypeError, `${name} must be a function`);
  }
});

Deno.test("MQTTClient refuses a store that is none, such as the path of one", () => {
  for (const store of ["./session.db", {}, null]) {
    const options = { store } as unknown as MQTTClientOptions;
    assertThrows(() => new MQTTClient(options), TypeError, "store must be a session store");
  }
});

Deno.test("MQTTClient.connect() refuses a cleanSession that is no boolean", async () => {
  const loose = untyped(new MQTTClient());
  await assertRejects(
    () => loose.connect("mqtt://localhost", { cleanSession: "no" }),
    TypeError,
    "cleanSession must be a boolean, not string",
  );
});

Deno.test("MQTTClient refuses a client identifier that cannot be sent", () => {
  for (const clientId of ["a\0", "x".repeat(65_536), "\udc00"]) {
    assertThrows(() => new MQTTClient({ clientId }), TypeError, "client identifier");
  }
  assertThrows(() => new MQTTClient({ clientId: 5 } as unknown as MQTTClientOptions), TypeError, "must be a string");
});

Deno.test("MQTTClient sends an empty client identifier as such", async () => {
  await using broker = await playBroker();
  const client = new MQTTClient({ clientId: "", config: QUICK });
  const [connection] = await Promise.all([broker.welcome(), client.connect(broker.uri)]);
  assertEquals(connection.connect.slice(-2), Uint8Array.of(0, 0));
  await Promise.all([client.disconnect(), connection.expectEnd(DISCONNECT)]);
});

Deno.test("MQTTClient.connect() refuses what CONNECT cannot hold, before it connects", async () => {
  await using broker = await playBroker();
  const connect = (username: string | undefined, password: string | Uint8Array | undefined) => {
    const client = new MQTTClient({ credentials: () => ({ username, password }) });
    return assertRejects(() => client.connect(broker.uri), ConnectError);
  };
  assertMatch((await connect(undefined, "secret")).message, /password without a user name/);
  assertMatch((await connect("a\0", "secret")).message, /user name: U\+0000/);
  assertMatch((await connect("x".repeat(65_536), "secret")).message, /user name: it is 65536 bytes/);
  assertMatch((await connect("x", new Uint8Array(65_536))).message, /password: it is 65536 bytes/);
  assertEquals(broker.peer.connectionCount, 0);
  const secrets = await Promise.all([connect(undefined, "secret"), connect("a\0", "secret")]);
  for (const error of secrets) assert(!Deno.inspect(error).includes("secret"));
});

const BAD_CREDENTIALS: readonly [credentials: unknown, message: RegExp][] = [
  [undefined, /credentials\(\) must give an object/],
  [null, /credentials\(\) must give an object/],
  ["s3cret", /credentials\(\) must give an object/],
  [{ username: 5, password: "s3cret" }, /user name: it must be a string/],
  [{ username: null, password: "s3cret" }, /user name: it must be a string/],
  [{ username: "user", password: 53 }, /password: it must be a string or a Uint8Array/],
  [{ username: "user", password: null }, /password: it must be a string or a Uint8Array/],
  [{ username: "user", password: new ArrayBuffer(3) }, /password: it must be a string or a Uint8Array/],
  [{ username: "user", password: [1, 2, 3] }, /password: it must be a string or a Uint8Array/],
  [{ username: "user", password: "s3cret\ud800" }, /password: it holds a lone surrogate/],
  [{ username: "user", password: "é".repeat(32_768) }, /password: it is 65536 bytes/],
  [{ authenticationData: "s3cret" }, /authenticationData: it must be a Uint8Array/],
  [{ authenticationData: new ArrayBuffer(3) }, /authenticationData: it must be a Uint8Array/],
  [{ authenticationData: new Uint8Array(65_536) }, /authenticationData: it is 65536 bytes/],
];

Deno.test("MQTTClient.connect() refuses credentials of wrong types before it connects, once, and does not show them", async () => {
  await using broker = await playBroker();
  const config = { ...QUICK_5, reconnect_retries: 1, connect_timeout: 1, authentication_method: "M" };
  for (const [given, message] of BAD_CREDENTIALS) {
    const client = new MQTTClient({ config, credentials: () => given } as unknown as MQTTClientOptions);
    const error = await assertRejects(() => client.connect(broker.uri), ConnectError);
    assertMatch(error.message, message);
    assert(!Deno.inspect(error, { showHidden: true }).includes("s3cret"));
    assertEquals([error.permanent, broker.peer.connectionCount], [true, 0]);
    await client.disconnect();
  }
});

Deno.test("MQTTClient.connect() on a connected client rejects and leaves the connection alone", async () => {
  await using link = await playLink();
  const { client, connection, broker } = link;
  await assertRejects(() => client.connect(broker.uri), ClientError, "Already connected");
  assertEquals([client.connected, broker.peer.connectionCount], [true, 1]);
  const publishing = client.publish("a", "x", { qos: 1 });
  await connection.expect("32 06 0001 'a' 0001 'x'");
  await connection.send("40 02 0001");
  await publishing;
});

Deno.test("MQTTClient.connect() on a client that connects or reconnects rejects and leaves it to that", async () => {
  await using broker = await playBroker();
  const client = new MQTTClient({ config: QUICK });
  const connecting = client.connect(broker.uri);
  await assertRejects(() => client.connect(broker.uri), ClientError, "Already connecting");
  const connection = await broker.welcome();
  await connecting;
  const waiting = event(client, "reconnecting");
  await connection.peer.close();
  await waiting;
  await assertRejects(() => client.connect(broker.uri), ClientError, "being restored");
  const connected = event(client, "connect");
  const second = await broker.welcome();
  await connected;
  await Promise.all([client.disconnect(), second.expectEnd(DISCONNECT)]);
});
