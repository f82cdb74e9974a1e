import { assertEquals } from "@std/assert";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { MQTTClient, QOS_2 } from "../mod.ts";
import { stdFlags } from "../tools/std.ts";
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

/** Gives the first example of the README as a program for another broker, with the address of the module. */
async function firstExample(uri: string): Promise<string> {
  const readme = await Deno.readTextFile(join(ROOT, "README.md"));
  const code = /^```ts\n([^]*?)^```$/m.exec(readme)?.[1];
  if (code === undefined) throw new Error("README.md has no example");
  const host = new URL(uri).host;
  return code
    .replace('"@hbmqtt/client"', JSON.stringify(new URL("../mod.ts", import.meta.url)))
    .replace("localhost:1883", host) + SURROUNDINGS;
}

Deno.test("The first example of README.md passes the type checks, and does what it says", async () => {
  await using broker = await startEmbeddedBroker();
  await using client = new MQTTClient();
  await client.connect(broker.uri);
  const path = await Deno.makeTempFile({ suffix: ".ts" });
  try {
    await Deno.writeTextFile(path, await firstExample(broker.uri));
    const flags = [
      ...await stdFlags(),
      `--config=${join(ROOT, "deno.json")}`,
      `--allow-net=${new URL(broker.uri).host}`,
    ];
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "--check", "--quiet", "--no-prompt", "--cached-only", ...flags, path],
      env: { NO_COLOR: "1" },
      stdin: "null",
      stdout: "piped",
    }).spawn();
    const output: string[] = [];
    for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
      if (output.push(text) === 1) await client.publish("alarm/fire", "fire!", { qos: QOS_2 });
    }
    assertEquals([await child.status, output.join("")], [
      { success: true, code: 0, signal: null },
      "home/kitchen/temperature 21.5\nfire!\n",
    ]);
  } finally {
    await Deno.remove(path);
  }
});
