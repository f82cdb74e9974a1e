import { assertEquals } from "@std/assert";
import { type ClientConfig, MQTTClient, type MQTTClientEventMap } from "../../mod.ts";
import { bytes, hex } from "../codec/bytes.ts";
import { type PeerConnection, type ScriptedPeer, startScriptedPeer } from "../helpers/scripted_peer.ts";

export const CONNACK = "20 02 00 00";
export const CONNACK_SESSION_PRESENT = "20 02 01 00";
export const PINGREQ = "c0 00";
export const PINGRESP = "d0 00";
export const DISCONNECT = "e0 00";

/** Lets a client return so soon that no test has to wait. */
export const QUICK: ClientConfig = { reconnect_max_interval: 0.02, reconnect_retries: -1 };

/** The same with MQTT 5.0. */
export const QUICK_5 = { ...QUICK, protocol_version: 5 } as const satisfies ClientConfig;

/** CONNACK of MQTT 5.0 from a broker that knows no limits. */
export const CONNACK_5 = withProperties("20", "00 00");

/** Writes a packet of MQTT 5.0, up to 129 bytes long, that ends with its properties: puts in the two lengths. */
export function withProperties(first: string, rest: string, properties = ""): string {
  const length = (literal: string) => hex(Uint8Array.of(bytes(literal).length));
  const body = `${rest} ${length(properties)} ${properties}`;
  return `${first} ${length(body)} ${body}`;
}

/** Starts a broker that the test itself plays, byte by byte. */
export async function playBroker(): Promise<PlayedBroker> {
  return new PlayedBroker(await startScriptedPeer());
}

/** Starts a played broker and connects a client to it. */
export async function playLink(config: ClientConfig = QUICK, connack?: string): Promise<PlayedLink> {
  const broker = await playBroker();
  const client = new MQTTClient({ clientId: "id", config });
  const [connection] = await Promise.all([broker.welcome(connack), client.connect(broker.uri)]);
  return new PlayedLink(broker, client, connection);
}

/** Starts a played broker and connects a client to it with MQTT 5.0. */
export async function playLink5(config: ClientConfig = {}, connack = CONNACK_5): Promise<PlayedLink> {
  return await playLink({ ...QUICK_5, ...config }, connack);
}

export class PlayedBroker implements AsyncDisposable {
  readonly peer: ScriptedPeer;

  constructor(peer: ScriptedPeer) {
    this.peer = peer;
  }

  get uri(): string {
    return this.peer.uri;
  }

  /** Takes the next connection and reads CONNECT. */
  async accept(): Promise<PlayedConnection> {
    const connection = await this.peer.accept();
    return new PlayedConnection(connection, await connection.readPacket());
  }

  /** Takes the next connection, reads CONNECT and answers it. */
  async welcome(connack: string = CONNACK): Promise<PlayedConnection> {
    const connection = await this.accept();
    await connection.send(connack);
    return connection;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.peer[Symbol.asyncDispose]();
  }
}

/** One connection of a {@linkcode PlayedBroker}. */
export class PlayedConnection {
  readonly peer: PeerConnection;
  /** The bytes of CONNECT. */
  readonly connect: Uint8Array;

  constructor(peer: PeerConnection, connect: Uint8Array) {
    this.peer = peer;
    this.connect = connect;
  }

  /** Reads the next packets and compares them with byte literals. */
  async expect(...packets: string[]): Promise<void> {
    for (const packet of packets) assertEquals(hex(await this.peer.readPacket()), hex(bytes(packet)));
  }

  async send(...packets: string[]): Promise<void> {
    await this.peer.write(bytes(packets.join(" ")));
  }

  /** Checks that nothing more comes but these packets, and then the end of the connection. */
  async expectEnd(...packets: string[]): Promise<void> {
    assertEquals(hex(await this.peer.readToEnd()), hex(bytes(packets.join(" "))));
    await this.peer.close();
  }
}

/** A client and the played broker that it is connected to. */
export class PlayedLink implements AsyncDisposable {
  readonly broker: PlayedBroker;
  readonly client: MQTTClient;
  /** The first connection. */
  readonly connection: PlayedConnection;

  constructor(broker: PlayedBroker, client: MQTTClient, connection: PlayedConnection) {
    this.broker = broker;
    this.client = client;
    this.connection = connection;
  }

  /** Ends both sides at once: a client alone would give the broker time to close. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.client.disconnect({ drain: 0 }), this.broker[Symbol.asyncDispose]()]);
  }
}

/** Waits for the next event of a kind. */
export function event<Type extends keyof MQTTClientEventMap>(
  client: MQTTClient,
  type: Type,
): Promise<MQTTClientEventMap[Type]["detail"]> {
  return new Promise((resolve) => client.addEventListener(type, ({ detail }) => resolve(detail), { once: true }));
}

/** Notes the events of a client but `packet`, in words: `connect`, `disconnect, will reconnect`, `reconnecting 1`, `disconnect`. */
export function recordEvents(client: MQTTClient): string[] {
  const events: string[] = [];
  client.addEventListener("connect", () => events.push("connect"));
  client.addEventListener("reconnecting", ({ detail: { attempt } }) => events.push(`reconnecting ${attempt}`));
  client.addEventListener("disconnect", ({ detail: { willReconnect } }) => {
    events.push(willReconnect ? "disconnect, will reconnect" : "disconnect");
  });
  return events;
}

/** Notes the packets of a client: `out PUBLISH`, `in PUBACK`. */
export function recordPackets(client: MQTTClient): string[] {
  const packets: string[] = [];
  client.addEventListener("packet", ({ detail: { direction, packet } }) => packets.push(`${direction} ${packet.type}`));
  return packets;
}

/** Checks what kind of error a value is, and gives it as one. */
export function errorOf<Type extends Error>(value: unknown, type: abstract new (...args: never[]) => Type): Type {
  if (value instanceof type) return value;
  throw new TypeError(`Not a ${type.name}: ${Deno.inspect(value)}`);
}
