import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { join } from "node:path";
import { MQTTClient, QOS_1, QOS_2, SqliteSessionStore } from "../mod.ts";
import { brokerTest } from "./helpers/brokers.ts";
import { type Outcome, runChild } from "./helpers/child.ts";
import { startEmbeddedBroker } from "./helpers/embedded_broker.ts";
import { runExample, startExample } from "./helpers/example.ts";

/** Gives the path of a database of the test's own, which is in a folder that is removed. */
async function databaseTest(work: (path: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "example-" });
  try {
    await work(join(folder, "example.db"));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function exampleTest(name: string, sentence: string, work: (uri: string) => Promise<void>): void {
  Deno.test(`examples/${name}.ts ${sentence}`, async () => {
    await using broker = await startEmbeddedBroker();
    await work(broker.uri);
  });
}

exampleTest("publisher", "publishes at each QoS, twice", async (uri) => {
  await using client = new MQTTClient();
  await client.connect(uri);
  await client.subscribe("a/b", QOS_2);
  const outcome = await runExample("publisher", uri);
  assertEquals(outcome, { code: 0, stdout: "messages published\nmessages published\n", stderr: "" });
  const received: string[] = [];
  for (let i = 0; i < 6; i++) {
    const message = await client.deliverMessage(10);
    received.push(`${message.text()} at ${message.qos}`);
  }
  const expected = [0, 1, 2].map((qos) => `TEST MESSAGE WITH QOS_${qos} at ${qos}`);
  assertEquals(received.slice(0, 3).sort(), expected);
  assertEquals(received.slice(3), expected);
});

exampleTest("publisher", "says so when it cannot connect", async (uri) => {
  const { code, stdout, stderr } = await runChild("examples/publisher.ts", [], uri);
  assertEquals([code, stdout], [1, ""]);
  assertEquals(
    stderr,
    `Connection failed: Cannot connect to ${uri}: run with --allow-net=${new URL(uri).host}\n`,
  );
});

exampleTest("pull", "takes the message, and says when none comes", async (uri) => {
  assertEquals(await runExample("pull", uri, "1"), {
    code: 0,
    stdout: "example/pull => hello\nnothing for 1 s\n",
    stderr: "",
  });
});

exampleTest("iterate", "prints each kind from a loop of its own", async (uri) => {
  const { code, stdout, stderr } = await runExample("iterate", uri);
  assertEquals([code, stderr], [0, ""]);
  const lines = stdout.trimEnd().split("\n");
  assertEquals(lines.filter((line) => line.startsWith("temperature")), [
    "temperature of kitchen: 21.5",
    "temperature of cellar: 12",
  ]);
  assertEquals(lines.filter((line) => !line.startsWith("temperature")), ["humidity of kitchen: 48"]);
});

exampleTest("push", "publishes from its handler, and ends when the answer has come", async (uri) => {
  assertEquals(await runExample("push", uri), {
    code: 0,
    stdout: "example/push => ping\nexample/push => pong\n",
    stderr: "",
  });
});

exampleTest("manual_ack", "acknowledges every message, so that none comes again", async (uri) => {
  for (let run = 0; run < 2; run++) {
    assertEquals(await runExample("manual_ack", uri), {
      code: 0,
      stdout: "stored 1\nstored 2\nstored 3\n",
      stderr: "",
    });
  }
});

exampleTest("outbox", "tells of each order that it takes, and of no other", (uri) =>
  databaseTest(async (path) => {
    await using client = new MQTTClient();
    await client.connect(uri);
    await client.subscribe("example/orders", QOS_2);
    const stdout = [
      "0 left to tell of",
      "ordered tea",
      "cannot order \"\": CHECK constraint failed: item <> ''",
      "ordered milk",
      "",
    ].join("\n");
    for (let run = 0; run < 2; run++) {
      assertEquals(await runExample("outbox", uri, path), { code: 0, stdout, stderr: "" });
    }
    const told: unknown[] = [];
    while (told.length < 4) told.push((await client.deliverMessage(10)).json());
    assertEquals(told, ["tea", "milk", "tea", "milk"].map((item, i) => ({ id: i + 1, item })));
    using store = new SqliteSessionStore(path);
    assertEquals(store.database.prepare("SELECT id, item FROM orders").all().map((row) => ({ ...row })), told);
  }));

exampleTest("kv_store", "keeps the session of a client", (uri) =>
  databaseTest(async (path) => {
    for (let run = 0; run < 2; run++) {
      assertEquals(await runExample("kv_store", uri, path), {
        code: 0,
        stdout: "0 publishes of the last run to be completed\npublished\n",
        stderr: "",
      });
    }
  }));

// The embedded broker begins a message anew that it has just released.
brokerTest(
  "examples/inbox.ts records each order once, also one that comes twice",
  {},
  (broker) =>
    databaseTest(async (path) => {
      const uri = broker.uris.mqtt;
      assertEquals(await runExample("inbox", uri, path, "0"), { code: 0, stdout: "", stderr: "" });
      await using client = new MQTTClient();
      await client.connect(uri);
      for (const order of [{ id: 1, item: "tea" }, { id: 2, item: "milk" }, { id: 1, item: "tea" }]) {
        await client.publish("example/orders", JSON.stringify(order), { qos: QOS_2 });
      }
      const lines = ["recorded order 1: tea", "recorded order 2: milk", "order 1 was recorded already"];
      assertEquals(await runExample("inbox", uri, path, "2"), {
        code: 0,
        stdout: `${lines.slice(0, 2).join("\n")}\n`,
        stderr: "",
      });
      assertEquals(await runExample("inbox", uri, path, "1"), { code: 0, stdout: `${lines[2]}\n`, stderr: "" });
    }),
);

brokerTest(
  "examples/subscriber.ts prints messages of the broker about itself",
  { config: ["sys_interval 1"] },
  async (broker) => {
    const { code, stdout, stderr } = await runExample("subscriber", broker.uris.mqtt, "3");
    assertEquals([code, stderr], [0, ""]);
    const lines = stdout.trimEnd().split("\n");
    assertEquals(lines.length, 3);
    for (const [index, line] of lines.entries()) {
      assertMatch(line, new RegExp(String.raw`^${index + 1}:  \$SYS/broker/(uptime|load/\S+) => \S+`));
    }
  },
);

brokerTest("examples/request.ts prints what examples/respond.ts answers", {}, async (broker) => {
  await using responder = await startExample("respond", broker.uris.mqtt, "2");
  const outcome = await runExample("request", broker.uris.mqtt, "one", "two");
  assertEquals(outcome, { code: 0, stdout: "one => ONE\ntwo => TWO\n", stderr: "" });
  assertEquals((await responder.status).code, 0);
});

brokerTest("examples/worker_pool.ts does every job, though a worker is killed amid its own", {}, async (broker) => {
  const uri = broker.uris.mqtt;
  const jobs = Array.from({ length: 24 }, (_, i) => `${i}`);
  await using client = new MQTTClient();
  await client.connect(uri);
  await client.subscribe("example/results/#", QOS_1);
  await using victim = await startExample("worker_pool", uri, "a", "0.1");
  await using _second = await startExample("worker_pool", uri, "b", "0.1");
  await using _third = await startExample("worker_pool", uri, "c", "0.1");
  await Promise.all(jobs.map((job) => client.publish(`example/jobs/${job}`, job, { qos: QOS_1 })));
  const processesOf = new Map<string, Set<number>>([["a", new Set()], ["b", new Set()], ["c", new Set()]]);
  const done = new Set<string>();
  let killed = false;
  await using stack = new AsyncDisposableStack();
  while (done.size < jobs.length) {
    const text = (await client.deliverMessage(20)).text();
    const [, job, worker, process] = /^(\d+) done by (\w), process (\d+)$/.exec(text) ?? [];
    done.add(job);
    processesOf.get(worker)?.add(Number(process));
    if (Number(process) !== victim.pid || killed) continue;
    killed = true;
    await victim.kill(); // It has begun the next job.
    stack.use(await startExample("worker_pool", uri, "a", "0.1"));
  }
  assertEquals([...done].toSorted(), jobs.toSorted());
  assertEquals([...processesOf.values()].map((processes) => processes.size), [2, 1, 1]);
});

Deno.test("tools/demo.ts shows the packets of QoS 0, 1 and 2, with a broker of its own", async () => {
  const outcome = await runChild("tools/demo.ts", ["-A"]);
  assertMatch(outcome.stdout, /^A broker was started on mqtt:\/\/127\.0\.0\.1:\d+$/m);
  assertDemo(outcome);
});

Deno.test("tools/demo.ts takes the broker that is given", async () => {
  await using broker = await startEmbeddedBroker();
  const outcome = await runChild("tools/demo.ts", ["-A"], broker.uri);
  assertMatch(outcome.stdout, new RegExp(`^The broker is ${broker.uri}$`, "m"));
  assertDemo(outcome);
});

function assertDemo({ code, stdout, stderr }: Outcome): void {
  assertEquals([code, stderr], [0, ""], stdout);
  const messages = stdout.split("\n").filter((line) => /^\d:/.test(line));
  assertEquals(messages.slice(0, 3), [0, 1, 2].map((qos) => `${qos + 1}:  a/b => TEST MESSAGE WITH QOS_${qos}`));
  assertEquals(messages.length, 6);
  // The publisher's side of the flows, twice, and the subscriber's, with the QoS that each was published with.
  for (const direction of ["-out->", "<-in--"]) {
    for (const qos of [0, 1, 2]) assertEquals(count(stdout, `${direction} PUBLISH`, `qos=${qos}`), 2, `QoS ${qos}`);
  }
  for (const name of ["PUBACK", "PUBREC", "PUBREL", "PUBCOMP"]) {
    assertEquals([count(stdout, `-out-> ${name}`), count(stdout, `<-in-- ${name}`)], [2, 2], name);
  }
  assertStringIncludes(stdout, "Done: every message has arrived.");
}

/** Counts the lines that hold all of the parts. */
function count(text: string, ...parts: string[]): number {
  return text.split("\n").filter((line) => parts.every((part) => line.includes(part))).length;
}
