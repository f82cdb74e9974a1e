import { delay } from "@std/async";
import { assert, assertEquals, assertGreater } from "@std/assert";
import { join } from "node:path";
import { MQTTClient, QOS_2, SqliteSessionStore } from "../../mod.ts";
import { brokerTest } from "../helpers/brokers.ts";
import { type Child, startChild } from "../helpers/child.ts";
import { Random, seedOf } from "../random.ts";

const KILLS = Number(Deno.env.get("CRASH_KILLS") ?? 100);
const MESSAGES = Number(Deno.env.get("CRASH_MESSAGES") ?? 10_000);

/** By then a program has connected, in milliseconds. */
const START = 400;

/** A line of the receiver's table: a message, or where there is no topic a PUBREL. */
interface LogEntry {
  packet_id: number;
  topic: string | null;
  text: string | null;
  waiting: number | null;
}

/**
 * Kills a program so many times by SIGKILL, at its start or when it has come some way further, and then lets it end. It prints numbers up to
 * a limit that it is started with. Gives what else it has printed.
 */
async function killAtRandom(
  kills: number,
  random: Random,
  start: (limit: number, isLast: boolean) => Child,
): Promise<string[]> {
  const printed: string[] = [];
  let reached = 0;
  const take = (line: string) => {
    if (/^\d+$/.test(line)) reached = Math.max(reached, Number(line));
    else printed.push(line);
  };
  for (let kill = 1; kill <= kills; kill++) {
    const limit = Math.floor(MESSAGES * kill / (kills + 1));
    await using child = start(limit, false);
    if (random.oneIn(4)) await delay(random.below(START));
    else {
      const target = reached + random.below(Math.max(limit - reached, 0) + 1);
      do take(await child.line() ?? endedEarly(await child.status)); while (reached < target);
      await delay(random.below(5));
    }
    for (const line of await child.kill()) take(line);
    assertEquals((await child.status).signal, "SIGKILL");
  }
  await using child = start(MESSAGES, true);
  for (let line = await child.line(); line !== undefined; line = await child.line()) take(line);
  assertEquals(await child.status, { success: true, code: 0, signal: null });
  return printed;
}

function endedEarly({ code }: Deno.CommandStatus): never {
  throw new Error(`A program ended by itself with code ${code}`);
}

/** Runs the publisher and the receiver until all has arrived, with so many kills of each. Gives what the publisher has printed. */
async function passThrough(uri: string, published: string, received: string, kills: number): Promise<string[]> {
  const seed = seedOf("CRASH_SEED");
  const publisher = "tests/fixtures/outbox_publisher.ts", receiver = "tests/fixtures/inbox_receiver.ts";
  const end = (isLast: boolean) => isLast ? ["end"] : [];
  const [printed] = await Promise.all([
    killAtRandom(kills, new Random(seed), (limit, isLast) => {
      return startChild(publisher, ["-A"], uri, published, String(limit), ...end(isLast));
    }),
    killAtRandom(kills, new Random(seed + 1), (_limit, isLast) => {
      return startChild(receiver, ["-A"], uri, received, String(MESSAGES), ...end(isLast));
    }),
  ]);
  return printed;
}

/** Makes the receiver's session in the broker, so that no message comes before it. */
async function subscribe(uri: string): Promise<void> {
  await using client = new MQTTClient({ clientId: "receiver", config: { cleansession: false } });
  await client.connect(uri);
  await client.subscribe("crash/#", QOS_2);
}

/** Checks that the broker has the acknowledgement of every QoS 1 message: what it has not comes again, before the answer to a ping. */
async function assertAcknowledged(uri: string): Promise<void> {
  await using client = new MQTTClient({ clientId: "receiver", config: { cleansession: false } });
  const topics = new Set<string>();
  client.onmessage = ({ topic }) => void topics.add(topic);
  await client.connect(uri);
  await client.ping();
  assert(!topics.has("crash/1"), "QoS 1 messages were recorded and not acknowledged");
}

async function numbersPublished(path: string): Promise<string[]> {
  using store = new SqliteSessionStore(path);
  const rows = store.database.prepare("SELECT number FROM published ORDER BY number").all();
  const { publishes } = await store.open("publisher").read();
  assertEquals(publishes, []);
  return rows.map(({ number }) => String(number));
}

function readLog(path: string): LogEntry[] {
  using store = new SqliteSessionStore(path);
  const rows = store.database.prepare("SELECT packet_id, topic, text, waiting FROM log ORDER BY position").all();
  return rows as unknown as LogEntry[];
}

function textsOf(log: readonly LogEntry[], topic: string): (string | null)[] {
  return log.filter((entry) => entry.topic === topic).map(({ text }) => text);
}

/**
 * Checks that no QoS 2 message is recorded that is none by the protocol: its identifier waits for PUBREL (§4.3.3, method B). Mosquitto 2.0.11
 * begins one anew after its PUBREL, with the identifier that it had, if a connection is lost on which it had yet to repeat that. Gives how
 * often it has. One that was published twice would have two identifiers: they are not used again before all 65,535 were.
 */
function countBegunAnew(log: readonly LogEntry[]): number {
  const unreleased = new Set<number>();
  const identifiers = new Map<string | null, number>();
  let begunAnew = 0;
  for (const { packet_id, topic, text, waiting } of log) {
    if (topic === null) unreleased.delete(packet_id);
    if (topic !== "crash/2") continue;
    assertEquals([waiting, unreleased.has(packet_id)], [0, false], `QoS 2 message ${text} was delivered again`);
    unreleased.add(packet_id);
    if (identifiers.has(text)) begunAnew++;
    assertEquals(identifiers.get(text) ?? packet_id, packet_id, `QoS 2 message ${text} was published twice`);
    identifiers.set(text, packet_id);
  }
  return begunAnew;
}

function assertSameList(actual: readonly unknown[], expected: readonly unknown[], what: string): void {
  const wrong = expected.findIndex((value, i) => actual[i] !== value);
  // Not the whole of both lists, which nobody could read.
  if (wrong >= 0) {
    assertEquals(actual.slice(wrong, wrong + 8), expected.slice(wrong, wrong + 8), `${what} from ${wrong}`);
  }
  assertEquals(actual.length, expected.length, what);
}

brokerTest(
  `MQTTClient with a SqliteSessionStore loses and repeats nothing of ${MESSAGES} messages per QoS through ${KILLS} SIGKILLs`,
  { persistence: true },
  async (broker) => {
    const folder = await Deno.makeTempDir({ prefix: "crash-" });
    try {
      const published = join(folder, "publisher.db"), received = join(folder, "receiver.db");
      await subscribe(broker.uris.mqtt);
      const printed = await passThrough(broker.uris.mqtt, published, received, Math.ceil(KILLS / 2));
      await assertAcknowledged(broker.uris.mqtt);
      const numbers = await numbersPublished(published);
      const log = readLog(received);
      assertSameList(numbers, Array.from({ length: MESSAGES }, (_, i) => String(i)), "table of the publisher");
      for (const topic of ["crash/1", "crash/2"]) assertSameList([...new Set(textsOf(log, topic))], numbers, topic);
      const atMostOnce = textsOf(log, "crash/0").map(Number);
      assertSameList(atMostOnce, [...new Set(atMostOnce)].sort((a, b) => a - b), "crash/0");
      const begunAnew = countBegunAnew(log);
      assertGreater(printed.map((line) => JSON.parse(line).pending).reduce((sum, pending) => sum + pending), 0);
      console.log(`begun anew by mosquitto: ${begunAnew}`);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
);
