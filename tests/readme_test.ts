import { assertEquals } from "@std/assert";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { MQTTClient, QOS_1, QOS_2 } from "../mod.ts";
import { stdFlags } from "../tools/std.ts";
import { brokerTest } from "./helpers/brokers.ts";
import { startEmbeddedBroker } from "./helpers/embedded_broker.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** What the first example of the README leaves to its reader. */
const SURROUNDINGS = `
async function store(_message: unknown) {}
function ring(text: string) {
  console.log(text);
  Deno.exit();
}
`;

/** Gives the first example of the README that holds a text, as a program for another broker, with the address of the module. */
async function example(text: string, uri: string): Promise<string> {
  const readme = await Deno.readTextFile(join(ROOT, "README.md"));
  const examples = [...readme.matchAll(/^```ts\n([^]*?)^```$/gm)].map(([, code]) => code);
  const code = examples.find((code) => code.includes(text));
  if (code === undefined) throw new Error(`README.md has no example with ${text}`);
  return code
    .replace('"@hbmqtt/client"', JSON.stringify(new URL("../mod.ts", import.meta.url)))
    .replace("localhost:1883", new URL(uri).host);
}

/** Checks the types of a program and runs it in a folder of its own. Gives how it ended and what it printed, piece by piece. */
async function run(
  code: string,
  permissions: string[],
  printed: (text: string) => void = () => {},
): Promise<[Deno.CommandStatus, string]> {
  const folder = await Deno.makeTempDir({ prefix: "readme-" });
  try {
    await Deno.writeTextFile(join(folder, "example.ts"), code);
    const flags = [...await stdFlags(), `--config=${join(ROOT, "deno.json")}`, ...permissions];
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "--check", "--quiet", "--no-prompt", "--cached-only", ...flags, "example.ts"],
      cwd: folder,
      env: { NO_COLOR: "1" },
      stdin: "null",
      stdout: "piped",
    }).spawn();
    let output = "";
    for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
      output += text;
      printed(text);
    }
    return [await child.status, output];
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("Every relative link of README.md leads to something that is published", async () => {
  const readme = await Deno.readTextFile(join(ROOT, "README.md"));
  const { publish } = JSON.parse(await Deno.readTextFile(join(ROOT, "deno.json")));
  const included: string[] = publish.include;
  const links = [...readme.matchAll(/\]\(([^)#\s]+)/g)].map(([, link]) => link).filter((link) => !URL.canParse(link));
  for (const link of links) await Deno.stat(join(ROOT, link));
  const outside = links.filter((link) => !included.some((path) => link === path || link.startsWith(`${path}/`)));
  assertEquals([links.length > 5, outside], [true, []]);
});

const SUCCESS: Deno.CommandStatus = { success: true, code: 0, signal: null };

Deno.test("The first example of README.md passes the type checks, and does what it says", async () => {
  await using broker = await startEmbeddedBroker();
  await using client = new MQTTClient();
  await client.connect(broker.uri);
  let pieces = 0;
  const outcome = await run(
    await example("messages(", broker.uri) + SURROUNDINGS,
    [`--allow-net=${new URL(broker.uri).host}`],
    () => {
      if (++pieces === 1) client.publish("alarm/fire", "fire!", { qos: QOS_2 });
    },
  );
  assertEquals(outcome, [SUCCESS, "home/kitchen/temperature 21.5\nfire!\n"]);
});

Deno.test("The example of README.md with a session on disk passes the type checks, and does what it says", async () => {
  await using broker = await startEmbeddedBroker();
  await using client = new MQTTClient();
  await client.connect(broker.uri);
  await client.subscribe("orders", QOS_2);
  const host = new URL(broker.uri).host;
  const permissions = [`--allow-net=${host}`, "--allow-read=shop.db", "--allow-write=shop.db"];
  assertEquals(await run(await example("SqliteSessionStore", broker.uri), permissions), [SUCCESS, "[]\n"]);
  assertEquals((await client.deliverMessage(10)).text(), "tea");
});

brokerTest(
  "The example of README.md for MQTT 5.0 passes the type checks, and does what it says",
  {},
  async (broker) => {
    const uri = broker.uris.mqtt;
    await using client = new MQTTClient({ config: { protocol_version: 5 } });
    await client.connect(uri);
    await client.subscribe("orders/#", QOS_1);
    const permissions = [`--allow-net=${new URL(uri).host}`];
    const [status, output] = await run(await example("messageExpiryInterval", uri), permissions);
    assertEquals([status, output.includes("topicAliasMaximum: 10")], [SUCCESS, true]);
    const { contentType, userProperties } = (await client.deliverMessage(10)).properties;
    assertEquals([contentType, userProperties], ["text/plain", [["table", "7"]]]);
  },
);

brokerTest(
  "The example of README.md with a request passes the type checks, and does what it says",
  {},
  async (broker) => {
    const uri = broker.uris.mqtt;
    const outcome = await run(await example("client.request(", uri), [`--allow-net=${new URL(uri).host}`]);
    assertEquals(outcome, [SUCCESS, "target: 21.5\n"]);
  },
);
