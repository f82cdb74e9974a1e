import { assert, assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import {
  type AuthChallenge,
  type AuthHandler,
  ClientError,
  ConnectError,
  ConnectionLostError,
  formatPacket,
  MQTTClient,
  RejectedError,
} from "../../mod.ts";
import { bytes } from "../codec/bytes.ts";
import {
  DISCONNECT,
  errorOf,
  event,
  PINGREQ,
  PINGRESP,
  playBroker,
  type PlayedConnection,
  QUICK_5,
  withProperties,
} from "./played_broker.ts";

const METHOD = "15 0001'M'";
const CONFIG = { ...QUICK_5, authentication_method: "M", authentication_data: "hello" };
const CONNACK = withProperties("20", "00 00", METHOD);

/** The broker's question and the client's answer, with these bytes as their data. */
const auth = (data: string, reasonCode = "18") => withProperties("f0", reasonCode, `${METHOD} 16 ${data}`);
const QUESTION = auth("0003'who'"), ANSWER = auth("0002'me'");

const answer: AuthHandler = () => bytes("'me'");
const never = () => new Promise<never>(() => {});

/** Connects a client to a played broker that asks one question. */
async function playAuthenticated(onAuth: AuthHandler = answer) {
  const broker = await playBroker();
  const client = new MQTTClient({ clientId: "id", config: CONFIG, onAuth });
  const connecting = client.connect(broker.uri);
  const connection = await broker.welcome(QUESTION);
  await connection.expect(ANSWER);
  await connection.send(CONNACK);
  assertEquals(await connecting, 0);
  const dispose = () => Promise.all([client.disconnect({ drain: 0 }), broker[Symbol.asyncDispose]()]);
  return { broker, client, connection, [Symbol.asyncDispose]: async () => void await dispose() };
}

for (const how of ["at once", "later"]) {
  Deno.test(`MQTTClient has onAuth answer the broker's challenges until CONNACK, ${how}`, async () => {
    const challenges: AuthChallenge[] = [];
    const onAuth = (challenge: AuthChallenge) => {
      const data = Uint8Array.of(challenges.push(challenge));
      return how === "later" ? Promise.resolve(data) : data;
    };
    await using broker = await playBroker();
    const client = new MQTTClient({ clientId: "id", config: CONFIG, onAuth });
    const connecting = client.connect(broker.uri);
    const connection = await broker.welcome(auth("0001 07"));
    assertEquals(
      connection.connect,
      bytes(`10 1b 0004'MQTT' 05 02 000a 0c ${METHOD} 16 0005'hello' 0002'id'`),
    );
    await connection.expect(auth("0001 01"));
    await connection.send(withProperties("f0", "18", `${METHOD} 1f 0002'go' 26 0001'a' 0001'b'`));
    await connection.expect(auth("0001 02"));
    await connection.send(withProperties("20", "00 00", `${METHOD} 16 0002'ok'`));
    assertEquals(await connecting, 0);
    assertEquals(client.connack?.properties, { authenticationMethod: "M", authenticationData: bytes("'ok'") });
    assertEquals(challenges.map(({ method, data }) => [method, data]), [["M", Uint8Array.of(7)], ["M", undefined]]);
    assertEquals(challenges[1].properties, {
      authenticationMethod: "M",
      reasonString: "go",
      userProperties: [["a", "b"]],
    });
    await Promise.all([client.disconnect(), connection.expectEnd(DISCONNECT)]);
  });
}

const THROWN = new RangeError("no key");
const FAILING: readonly [what: string, onAuth: AuthHandler | undefined, words: string, cause?: Error][] = [
  [
    "throws",
    () => {
      throw THROWN;
    },
    "no key",
    THROWN,
  ],
  ["rejects", () => Promise.reject(THROWN), "no key", THROWN],
  ["gives text", () => JSON.parse('"me"'), "Uint8Array"],
  ["gives nothing", () => JSON.parse("null"), "Uint8Array"],
  ["gives too much", () => new Uint8Array(65_536), "65,535"],
  ["is not there", undefined, "onAuth"],
];

for (const [what, onAuth, words, cause] of FAILING) {
  Deno.test(`MQTTClient.connect() rejects and sends nothing more when onAuth ${what}`, async () => {
    await using broker = await playBroker();
    const client = new MQTTClient({ config: CONFIG, onAuth });
    const connecting = assertRejects(() => client.connect(broker.uri), ConnectError, words);
    await (await broker.welcome(QUESTION)).expectEnd();
    const error = await connecting;
    assertEquals([error.permanent, broker.peer.connectionCount], [true, 1]);
    assert(error.message.includes("(M)") && !Deno.inspect(error).includes("hello"));
    if (cause !== undefined) assertStrictEquals(error.cause, cause);
  });
}

Deno.test("MQTTClient takes no onAuth that is no function", () => {
  assertThrows(() => new MQTTClient({ onAuth: JSON.parse("{}") }), TypeError, "onAuth");
});

Deno.test("MQTTClient.connect() rejects when the broker refuses what onAuth has answered", async () => {
  await using broker = await playBroker();
  const client = new MQTTClient({ config: CONFIG, onAuth: answer });
  const connecting = assertRejects(() => client.connect(broker.uri), ConnectError, "Not authorized (0x87)");
  const connection = await broker.welcome(QUESTION);
  await connection.expect(ANSWER);
  await connection.send("20 03 00 87 00");
  await connection.expectEnd();
  assertEquals([(await connecting).returnCode, broker.peer.connectionCount], [0x87, 1]);
});

Deno.test("MQTTClient.connect() rejects for a challenge by another method, or by one that it did not ask for", async () => {
  for (const config of [CONFIG, QUICK_5]) {
    await using broker = await playBroker();
    const client = new MQTTClient({ config: { ...config, auto_reconnect: false }, onAuth: answer });
    const connecting = assertRejects(() => client.connect(broker.uri), ConnectError, "AUTH");
    const connection = await broker.welcome(withProperties("f0", "18", "15 0001'X'"));
    assertEquals((await connecting).reasonCode, 0x82);
    await connection.peer.readToEnd();
  }
});

Deno.test("MQTTClient.connect() gives up a slow onAuth after connect_timeout, and drops its answer", async () => {
  await using broker = await playBroker();
  const late = Promise.withResolvers<Uint8Array>();
  const config = { ...CONFIG, connect_timeout: 0.05, auto_reconnect: false };
  const client = new MQTTClient({ config, onAuth: () => late.promise });
  const connecting = assertRejects(() => client.connect(broker.uri), ConnectError, "within 0.05 s");
  const connection = await broker.welcome(QUESTION);
  await connecting;
  late.resolve(bytes("'me'"));
  await connection.expectEnd();
});

Deno.test("MQTTClient.connect() can be aborted during a slow onAuth, whose answer or failure is dropped", async () => {
  for (const fails of [false, true]) {
    await using broker = await playBroker();
    const asked = Promise.withResolvers<void>(), late = Promise.withResolvers<Uint8Array>();
    const client = new MQTTClient({
      config: CONFIG,
      onAuth: () => {
        asked.resolve();
        return late.promise;
      },
    });
    const controller = new AbortController(), reason = new RangeError("enough");
    const connecting = assertRejects(() => client.connect(broker.uri, { signal: controller.signal }), RangeError);
    const connection = await broker.welcome(QUESTION);
    await asked.promise;
    controller.abort(reason);
    assertStrictEquals(await connecting, reason);
    if (fails) late.reject(new Error("too late"));
    else late.resolve(bytes("'me'"));
    await connection.expectEnd();
  }
});

Deno.test("MQTTClient.disconnect() ends a connection on which onAuth is slow", async () => {
  await using broker = await playBroker();
  const client = new MQTTClient({ config: CONFIG, onAuth: never });
  const connecting = assertRejects(() => client.connect(broker.uri), ClientError, "disconnect");
  const connection = await broker.welcome(QUESTION);
  await Promise.all([client.disconnect(), connection.expectEnd(), connecting]);
});

Deno.test("MQTTClient authenticates again on every connection", async () => {
  await using link = await playAuthenticated();
  const { broker, client, connection } = link;
  const restored = event(client, "connect");
  await connection.peer.close();
  const second = await broker.welcome(QUESTION);
  assertEquals(second.connect, connection.connect);
  await second.expect(ANSWER);
  await second.send(CONNACK);
  await restored;
});

/** Plays the broker's side of a re-authentication up to its last word. */
async function takeReauthentication(connection: PlayedConnection): Promise<void> {
  await connection.expect(auth("0005'hello'", "19"));
  await connection.send(QUESTION);
  await connection.expect(ANSWER);
}

Deno.test("MQTTClient.reauthenticate() resolves when the broker is content; all else goes on meanwhile", async () => {
  await using link = await playAuthenticated();
  const { client, connection } = link;
  const authenticating = client.reauthenticate();
  await takeReauthentication(connection);
  const pinging = client.ping();
  await connection.expect(PINGREQ);
  await connection.send(PINGRESP);
  await pinging;
  await connection.send(withProperties("f0", "00", METHOD));
  assertEquals(await authenticating, undefined);
  const again = client.reauthenticate();
  await connection.expect(auth("0005'hello'", "19"));
  await connection.send(withProperties("f0", "00", METHOD));
  await again;
});

Deno.test("MQTTClient.reauthenticate() rejects with the reason code of the broker's DISCONNECT", async () => {
  await using link = await playAuthenticated();
  const { client, connection } = link;
  const lost = event(client, "disconnect");
  const authenticating = assertRejects(() => client.reauthenticate(), RejectedError, "Not authorized (0x87), old");
  await takeReauthentication(connection);
  await connection.send(withProperties("e0", "87", "1f 0003'old'"));
  const { reasonCode, reasonString } = await authenticating;
  assertEquals([reasonCode, reasonString], [0x87, "old"]);
  assertEquals((await lost).willReconnect, false);
});

Deno.test("MQTTClient.reauthenticate() rejects when onAuth throws, and the client ends", async () => {
  let asked = 0;
  await using link = await playAuthenticated(() => {
    if (asked++ > 0) throw THROWN;
    return bytes("'me'");
  });
  const { client, connection } = link;
  const lost = event(client, "disconnect");
  const authenticating = assertRejects(() => client.reauthenticate(), ClientError, "no key");
  await connection.expect(auth("0005'hello'", "19"));
  await connection.send(QUESTION);
  await authenticating;
  const { error, willReconnect } = await lost;
  const cause = errorOf(errorOf(error, ConnectionLostError).cause, ConnectError);
  assertEquals([cause.cause, willReconnect], [THROWN, false]);
  await connection.peer.readToEnd();
});

Deno.test("MQTTClient.reauthenticate() is settled by the next connection when the link breaks", async () => {
  await using link = await playAuthenticated();
  const { broker, client, connection } = link;
  const authenticating = client.reauthenticate();
  await connection.expect(auth("0005'hello'", "19"));
  await connection.peer.close();
  const second = await broker.welcome(QUESTION);
  await second.expect(ANSWER);
  await second.send(CONNACK);
  assertEquals(await authenticating, undefined);
});

Deno.test("MQTTClient.reauthenticate() rejects without a method, without a connection, and on an abort", async () => {
  const client = new MQTTClient({ config: CONFIG });
  await assertRejects(() => client.reauthenticate(), ClientError, "call connect() first");
  await using link = await playAuthenticated();
  const aborted = AbortSignal.abort(THROWN);
  assertStrictEquals(await assertRejects(() => link.client.reauthenticate({ signal: aborted })), THROWN);
  const controller = new AbortController();
  const authenticating = assertRejects(() => link.client.reauthenticate({ signal: controller.signal }), RangeError);
  controller.abort(THROWN);
  assertStrictEquals(await authenticating, THROWN);
});

Deno.test("MQTTClient.reauthenticate() rejects without authentication_method, before the connection is up too", async () => {
  await using broker = await playBroker();
  const client = new MQTTClient({ config: QUICK_5 });
  const connecting = client.connect(broker.uri);
  await assertRejects(() => client.reauthenticate(), ClientError, "the configuration has no authentication_method");
  await broker.welcome(withProperties("20", "00 00"));
  await connecting;
  await assertRejects(() => client.reauthenticate(), ClientError, "the configuration has no authentication_method");
  await client.disconnect({ drain: 0 });
});

Deno.test("MQTTClient.reauthenticate() waits for the first connection, from before its CONNECT on", async () => {
  await using broker = await playBroker();
  const client = new MQTTClient({ clientId: "id", config: CONFIG, onAuth: answer });
  const connecting = client.connect(broker.uri);
  const early = client.reauthenticate();
  const connection = await broker.accept();
  const later = client.reauthenticate();
  await connection.send(CONNACK);
  assertEquals(await Promise.all([connecting, early, later]), [0, undefined, undefined]);
  await client.disconnect({ drain: 0 });
});

Deno.test("MQTTClient.reauthenticate() begins with what credentials() gives, else with authentication_data", async () => {
  const given = [bytes("'one'"), bytes("'two'"), undefined];
  await using broker = await playBroker();
  const client = new MQTTClient({
    clientId: "id",
    config: CONFIG,
    credentials: () => Promise.resolve({ authenticationData: given.shift() }),
  });
  const [connection] = await Promise.all([broker.welcome(CONNACK), client.connect(broker.uri)]);
  for (const data of ["0003'two'", "0005'hello'"]) {
    const authenticating = client.reauthenticate();
    await connection.expect(auth(data, "19"));
    await connection.send(withProperties("f0", "00", METHOD));
    await authenticating;
  }
  await client.disconnect({ drain: 0 });
});

Deno.test("MQTTClient.reauthenticate() rejects what credentials() gives that cannot be sent, and sends nothing", async () => {
  const given = [undefined, JSON.parse("5"), new Uint8Array(65_536), undefined];
  await using broker = await playBroker();
  const client = new MQTTClient({
    clientId: "id",
    config: CONFIG,
    credentials: () => ({ authenticationData: given.shift() }),
  });
  const [connection] = await Promise.all([broker.welcome(CONNACK), client.connect(broker.uri)]);
  for (const what of ["must be a Uint8Array", "65535 are allowed"]) {
    await assertRejects(() => client.reauthenticate(), ClientError, what);
  }
  const authenticating = client.reauthenticate();
  await connection.expect(auth("0005'hello'", "19"));
  await connection.send(withProperties("f0", "00", METHOD));
  await authenticating;
  await client.disconnect({ drain: 0 });
});

Deno.test("MQTTClient.reauthenticate() rejects when credentials() fails, or the signal aborts meanwhile, and sends nothing", async () => {
  const answers: (() => Promise<never>)[] = [() => Promise.reject(THROWN), never];
  await using broker = await playBroker();
  let isFirst = true;
  const credentials = () => {
    if (!isFirst) return answers.shift()?.() ?? {};
    isFirst = false;
    return {};
  };
  const client = new MQTTClient({ clientId: "id", config: CONFIG, credentials });
  const [connection] = await Promise.all([broker.welcome(CONNACK), client.connect(broker.uri)]);
  const { cause } = await assertRejects(() => client.reauthenticate(), ClientError, "credentials() failed: no key");
  assertStrictEquals(cause, THROWN);
  const controller = new AbortController();
  const authenticating = assertRejects(() => client.reauthenticate({ signal: controller.signal }));
  controller.abort(THROWN);
  assertStrictEquals(await authenticating, THROWN);
  const again = client.reauthenticate();
  await connection.expect(auth("0005'hello'", "19"));
  await connection.send(withProperties("f0", "00", METHOD));
  await again;
  await client.disconnect({ drain: 0 });
});

Deno.test("MQTTClient shows no secret of an authentication in events, in lines of a log, or when it is inspected", async () => {
  await using broker = await playBroker();
  const client = new MQTTClient({ clientId: "id", config: { ...CONFIG, password: "hello" }, onAuth: answer });
  const lines: string[] = [];
  client.addEventListener("packet", ({ detail: { direction, packet } }) => {
    lines.push(formatPacket("id", direction, packet), Deno.inspect(packet), JSON.stringify(packet));
  });
  const connecting = client.connect(broker.uri);
  const connection = await broker.welcome(QUESTION);
  await connection.expect(ANSWER);
  await connection.send(withProperties("20", "00 00", `${METHOD} 16 0003'who'`));
  await connecting;
  lines.push(Deno.inspect(client), JSON.stringify(client));
  assertEquals(lines.length, 4 * 3 + 2);
  for (const line of lines) {
    for (const secret of ["hello", "who", '"me"', "104, 101, 108", "119, 104, 111"]) {
      assert(!line.includes(secret), line);
    }
  }
  await Promise.all([client.disconnect(), connection.expectEnd(DISCONNECT)]);
});
