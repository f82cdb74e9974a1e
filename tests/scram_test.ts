import { assertEquals, assertInstanceOf, assertNotEquals, assertRejects } from "@std/assert";
import { createHash, createHmac, pbkdf2Sync, randomBytes } from "node:crypto";
import { Scram } from "../examples/scram.ts";
import { ConnectError, MQTTClient, type Packet, type Properties } from "../mod.ts";
import { MQTT_5_0 } from "../src/codec/mqtt_5_0.ts";
import { runExample } from "./helpers/example.ts";
import { DISCONNECT, playBroker, type PlayedBroker, type PlayedConnection } from "./client/played_broker.ts";
import { decode, encode } from "./codec/bytes.ts";

const METHOD = "SCRAM-SHA-256", NOT_AUTHORIZED = 0x87;

// The example of RFC 7677, §3.
const RFC_7677 = {
  clientNonce: "rOprNGfwEbeRWgbNEkqO",
  clientFirst: "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
  serverFirst: "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
  clientFinal: "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0," +
    "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
  serverFinal: "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
};

const text = (bytes: Uint8Array | undefined) => new TextDecoder().decode(bytes);

function authentication(data: string): Properties {
  return { authenticationMethod: METHOD, authenticationData: new TextEncoder().encode(data) };
}

/** Reads what the client says next, in CONNECT or AUTH. */
function said(bytes: Uint8Array): string {
  const [packet] = decode(bytes, MQTT_5_0);
  if (!("properties" in packet)) throw new Error(`Unexpected ${packet.type}`);
  assertEquals(packet.properties.authenticationMethod, METHOD);
  return text(packet.properties.authenticationData);
}

async function send(connection: PlayedConnection, packet: Packet): Promise<void> {
  await connection.peer.write(encode(packet, MQTT_5_0));
}

async function challenge(connection: PlayedConnection, data: string): Promise<string> {
  await send(connection, { type: "AUTH", reasonCode: 0x18, properties: authentication(data) });
  return said(await connection.peer.readPacket());
}

async function accept(connection: PlayedConnection, data: string): Promise<void> {
  const properties = authentication(data);
  await send(connection, { type: "CONNACK", sessionPresent: false, returnCode: 0, reasonCode: 0, properties });
}

async function refuse(connection: PlayedConnection): Promise<void> {
  const returnCode = NOT_AUTHORIZED;
  await send(connection, {
    type: "CONNACK",
    sessionPresent: false,
    returnCode,
    reasonCode: returnCode,
    properties: {},
  });
}

function newClient(scram: Scram): MQTTClient {
  return new MQTTClient({
    config: { protocol_version: 5, authentication_method: METHOD, reconnect_max_interval: 0.02 },
    credentials: () => ({ authenticationData: scram.first() }),
    onAuth: scram.answer,
  });
}

Deno.test("examples/scram.ts says what the example of RFC 7677 says, and verifies the server's signature", async () => {
  await using broker = await playBroker();
  const scram = new Scram("user", "pencil", () => RFC_7677.clientNonce);
  const client = newClient(scram);
  const connecting = client.connect(broker.uri);
  const connection = await broker.accept();
  assertEquals(said(connection.connect), RFC_7677.clientFirst);
  assertEquals(await challenge(connection, RFC_7677.serverFirst), RFC_7677.clientFinal);
  await accept(connection, RFC_7677.serverFinal);
  assertEquals(await connecting, 0);
  assertEquals(scram.verify(client.connack?.properties.authenticationData), true);
  const forged = new TextEncoder().encode(RFC_7677.serverFinal.replace("6", "7"));
  assertEquals([scram.verify(forged), scram.verify(undefined)], [false, false]);
  await Promise.all([client.disconnect(), connection.expectEnd(DISCONNECT)]);
});

Deno.test("examples/scram.ts gives its first message in answer to an empty challenge, too", async () => {
  const scram = new Scram("a,b=c", "pencil", () => "x");
  const answer = await scram.answer({ method: METHOD, data: undefined, properties: {} });
  assertEquals(text(answer), "n,,n=a=2Cb=3Dc,r=x");
});

Deno.test("examples/scram.ts has a fresh nonce for every attempt to connect", async () => {
  await using broker = await playBroker();
  const client = newClient(new Scram("user", "pencil"));
  const connecting = client.connect(broker.uri);
  const first = await broker.accept();
  await first.peer.close();
  const second = await broker.accept();
  assertNotEquals(said(first.connect), said(second.connect));
  await client.disconnect({ drain: 0 });
  await assertRejects(() => connecting);
});

for (
  const [what, serverFirst] of [
    ["a nonce that is not a continuation of its own", "r=other,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"],
    ["a nonce to which the server has added nothing", "r=rOprNGfwEbeRWgbNEkqO,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"],
    ["few iterations", "r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=1"],
    ["an error instead of a challenge", "e=other-error"],
  ]
) {
  Deno.test(`examples/scram.ts proves nothing to a broker that sends ${what}`, async () => {
    await using broker = await playBroker();
    const client = newClient(new Scram("user", "pencil", () => RFC_7677.clientNonce));
    const connecting = client.connect(broker.uri);
    const connection = await broker.accept();
    await send(connection, { type: "AUTH", reasonCode: 0x18, properties: authentication(serverFirst) });
    assertInstanceOf(await connecting.catch((error) => error), ConnectError);
    await connection.expectEnd();
  });
}

/** Plays the broker's side for one connection, with node's implementation of the functions; `sign` makes what it says at last. */
async function playServer(broker: PlayedBroker, password: string, sign = (signature: string) => signature) {
  const hmac = (key: Uint8Array, data: string) => createHmac("sha256", key).update(data).digest();
  const connection = await broker.accept();
  const clientFirst = said(connection.connect).slice("n,,".length);
  const salt = randomBytes(16), nonce = clientFirst.split(",r=")[1] + randomBytes(16).toString("hex");
  const serverFirst = `r=${nonce},s=${salt.toString("base64")},i=4096`;
  const [clientFinal, proof] = (await challenge(connection, serverFirst)).split(",p=");
  const authMessage = `${clientFirst},${serverFirst},${clientFinal}`;
  const saltedPassword = pbkdf2Sync(password, salt, 4096, 32, "sha256");
  const storedKey = createHash("sha256").update(hmac(saltedPassword, "Client Key")).digest();
  const clientKey = hmac(storedKey, authMessage).map((byte, i) => byte ^ Uint8Array.fromBase64(proof)[i]);
  const signature = hmac(hmac(saltedPassword, "Server Key"), authMessage).toString("base64");
  const proven = createHash("sha256").update(clientKey).digest().equals(storedKey);
  if (proven) await accept(connection, `v=${sign(signature)}`);
  else await refuse(connection);
  await connection.peer.readToEnd();
  await connection.peer.close();
}

for (
  const [what, password, sign, expected] of [
    ["logs in", "pencil", undefined, {
      code: 0,
      stdout: "The broker and the client know each other\n",
      stderr: "",
    }],
    ["says so when the password is wrong", "stencil", undefined, {
      code: 1,
      stdout: "",
      stderr: "URI refused the connection: Not authorized (0x87)\n",
    }],
    [
      "leaves a broker that does not know the password",
      "pencil",
      (signature: string) => signature.toLowerCase(),
      {
        code: 1,
        stdout: "",
        stderr: "The broker does not know the password: it is not what it claims to be\n",
      },
    ],
  ] as const
) {
  Deno.test(`examples/scram.ts ${what}`, async () => {
    await using broker = await playBroker();
    const [outcome] = await Promise.all([
      runExample("scram", broker.uri, "user", "pencil"),
      playServer(broker, password, sign),
    ]);
    assertEquals({ ...outcome, stderr: outcome.stderr.replace(broker.uri, "URI") }, expected);
  });
}
