import { assertEquals } from "@std/assert";
import { MQTTClient, type PacketType, type QoS } from "../../mod.ts";
import { CONNACK, CONNACK_SESSION_PRESENT, playBroker, type PlayedConnection, QUICK } from "../client/played_broker.ts";

// Topic "t", payload "x", packet identifier 1.
const PUBLISH: Record<QoS, string> = {
  0: "30 04 00 01 74 78",
  1: "32 06 00 01 74 00 01 78",
  2: "34 06 00 01 74 00 01 78",
};
const PUBLISH_DUP: Record<QoS, string> = { 0: "", 1: "3a 06 00 01 74 00 01 78", 2: "3c 06 00 01 74 00 01 78" };
const PUBACK = "40 02 00 01";
const PUBREC = "50 02 00 01";
const PUBREL = "62 02 00 01";
const PUBCOMP = "70 02 00 01";

type Session = "kept" | "lost";

/** A flow: what goes to the broker (`>`) and to the client (`<`) in turn. */
const OUTBOUND = {
  1: [`> ${PUBLISH[1]}`, `< ${PUBACK}`],
  2: [`> ${PUBLISH[2]}`, `< ${PUBREC}`, `> ${PUBREL}`, `< ${PUBCOMP}`],
};
const INBOUND = {
  1: [`< ${PUBLISH[1]}`, `> ${PUBACK}`],
  2: [`< ${PUBLISH[2]}`, `> ${PUBREC}`, `< ${PUBREL}`, `> ${PUBCOMP}`],
};

interface Row {
  direction: "out" | "in";
  qos: 1 | 2;
  /** After how many packets of the flow the connection is cut. */
  after: number;
  session: Session;
  /** What follows on the next connection, until the flow has ended. */
  then: string[];
  /** How many times the message reaches the application, and whether as a repeat. */
  delivered?: ("new" | "dup")[];
}

const ROWS: Row[] = [
  // Published: sent again with DUP, or PUBREL where PUBREC had come; as new where the session is lost.
  ...[0, 1].flatMap((after): Row[] => [
    { direction: "out", qos: 1, after, session: "kept", then: [`> ${PUBLISH_DUP[1]}`, `< ${PUBACK}`] },
    { direction: "out", qos: 1, after, session: "lost", then: OUTBOUND[1] },
    {
      direction: "out",
      qos: 2,
      after,
      session: "kept",
      then: [`> ${PUBLISH_DUP[2]}`, `< ${PUBREC}`, `> ${PUBREL}`, `< ${PUBCOMP}`],
    },
    { direction: "out", qos: 2, after, session: "lost", then: OUTBOUND[2] },
  ]),
  ...[2, 3].flatMap((after): Row[] => [
    { direction: "out", qos: 2, after, session: "kept", then: [`> ${PUBREL}`, `< ${PUBCOMP}`] },
    { direction: "out", qos: 2, after, session: "lost", then: OUTBOUND[2] },
  ]),
  { direction: "out", qos: 1, after: 2, session: "kept", then: [] },
  { direction: "out", qos: 1, after: 2, session: "lost", then: [] },
  { direction: "out", qos: 2, after: 4, session: "kept", then: [] },
  { direction: "out", qos: 2, after: 4, session: "lost", then: [] },
  // Received at QoS 1: what the broker does not know to be acknowledged comes again.
  ...[1, 2].flatMap((after): Row[] => [
    {
      direction: "in",
      qos: 1,
      after,
      session: "kept",
      then: [`< ${PUBLISH_DUP[1]}`, `> ${PUBACK}`],
      delivered: ["new", "dup"],
    },
    { direction: "in", qos: 1, after, session: "lost", then: INBOUND[1], delivered: ["new", "new"] },
  ]),
  // Received at QoS 2: delivered once while the session lasts; with a new session the identifier means a new message.
  ...[1, 2].flatMap((after): Row[] => [
    {
      direction: "in",
      qos: 2,
      after,
      session: "kept",
      then: [`< ${PUBLISH_DUP[2]}`, `> ${PUBREC}`, `< ${PUBREL}`, `> ${PUBCOMP}`],
      delivered: ["new"],
    },
    { direction: "in", qos: 2, after, session: "lost", then: INBOUND[2], delivered: ["new", "new"] },
  ]),
  ...[3, 4].flatMap((after): Row[] => [
    { direction: "in", qos: 2, after, session: "kept", then: [`< ${PUBREL}`, `> ${PUBCOMP}`], delivered: ["new"] },
    { direction: "in", qos: 2, after, session: "lost", then: INBOUND[2], delivered: ["new", "new"] },
  ]),
];

/** Plays packets of a flow; resolves when each has reached the other side. */
async function play(steps: readonly string[], client: MQTTClient, connection: PlayedConnection): Promise<void> {
  for (const step of steps) {
    const packet = step.slice(2);
    if (step.startsWith(">")) await connection.expect(packet);
    else {
      const seen = received(client);
      await connection.send(packet);
      await seen;
    }
  }
}

/** Waits for the next packet of a flow that the client receives. */
function received(client: MQTTClient): Promise<void> {
  const flow: PacketType[] = ["PUBLISH", "PUBACK", "PUBREC", "PUBREL", "PUBCOMP"];
  return new Promise((resolve) => {
    client.addEventListener("packet", function listener({ detail: { direction, packet } }) {
      if (direction !== "in" || !flow.includes(packet.type)) return;
      client.removeEventListener("packet", listener);
      resolve();
    });
  });
}

async function cutAndGoOn(
  { direction, qos, after, session, then, delivered = [] }: Row,
  how: "fin" | "rst",
): Promise<void> {
  await using broker = await playBroker();
  await using client = new MQTTClient({ clientId: "id", config: { ...QUICK, cleansession: false } });
  const messages: ("new" | "dup")[] = [];
  client.onmessage = (message) => void messages.push(message.dup ? "dup" : "new");
  const [first] = await Promise.all([broker.welcome(), client.connect(broker.uri)]);

  const steps = (direction === "out" ? OUTBOUND : INBOUND)[qos].slice(0, after);
  const published = direction === "out" ? client.publish("t", "x", { qos }) : undefined;
  await play(steps, client, first);
  if (how === "rst") await first.peer.closeRst();
  else await first.peer.close();

  const second = await broker.welcome(session === "kept" ? CONNACK_SESSION_PRESENT : CONNACK);
  await play(then, client, second);
  if (published !== undefined) assertEquals((await published).payload, new TextEncoder().encode("x"));
  // Nothing else was sent: the next packet is the answer to this.
  const pinged = client.ping();
  await second.expect("c0 00");
  await second.send("d0 00");
  await pinged;
  assertEquals(messages, delivered);
  assertEquals(client.stats.inFlight, 0);
  await Promise.all([client.disconnect({ drain: 0 }), second.expectEnd("e0 00")]);
}

for (const row of ROWS) {
  const { direction, qos, after, session, then } = row;
  const flow = direction === "out" ? "published" : "received";
  for (const how of ["fin", "rst"] as const) {
    const outcome = then.length === 0 ? "nothing" : then.map((step) => `${step[0]}${step.slice(2, 4)}`).join(" ");
    Deno.test(`A ${flow} QoS ${qos} flow cut (${how}) after ${after} packets goes on with ${outcome}, session ${session}`, () =>
      cutAndGoOn(row, how));
  }
}
