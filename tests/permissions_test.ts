import { assert, assertEquals, assertMatch } from "@std/assert";
import { join, relative } from "node:path";
import type { ClientConfig, ConnectOptions } from "../mod.ts";
import { brokerTest } from "./helpers/brokers.ts";
import { bundle } from "./helpers/bundle.ts";
import { certificatesOfFile } from "./helpers/file_certificates.ts";
import { keepAwake } from "./helpers/keep_awake.ts";

// What is run here are bundles: how modules come into the cache is nothing of the client's.
const folder = await Deno.makeTempDir({ prefix: "permissions-" });
Deno.test.afterAll(() => Deno.remove(folder, { recursive: true }));
const client = join(folder, "client.js"), library = join(folder, "mod.js");
await Promise.all([bundle("tests/fixtures/permissions_client.ts", client), bundle("mod.ts", library)]);
const { certificates } = await certificatesOfFile();

/** What a run printed, and the permissions that it asked for, each once, in the form of the flags. */
interface Run {
  printed: string;
  asked: string[];
}

async function run(script: string, permissions: string[], ...args: string[]): Promise<Run> {
  const log = await Deno.makeTempFile({ dir: folder });
  const options = ["--quiet", "--no-prompt", "--no-config", "--no-npm", "--no-remote"];
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", ...options, ...permissions, script, ...args],
    env: { NO_COLOR: "1", DENO_AUDIT_PERMISSIONS: log },
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  return { printed: decoder.decode(stdout) + decoder.decode(stderr), asked: askedFor(await Deno.readTextFile(log)) };
}

function askedFor(log: string): string[] {
  const entries: { permission: string; value: string }[] = log.trim().split("\n").filter(Boolean).map((line) =>
    JSON.parse(line)
  );
  return [...new Set(entries.map(({ permission, value }) => `${permission}=${hostOf(value)}`))].sort();
}

/** A WebSocket asks for the URL, which stands for its host and port. */
function hostOf(value: string): string {
  return /^wss?:\/\/([^/]*)\/$/.exec(value)?.[1] ?? value;
}

interface Way {
  uri: string;
  options?: ConnectOptions;
  config?: ClientConfig;
  /** The permissions that this takes. */
  needed: string[];
}

/** Runs the client with exactly what it needs, and then without each of that. */
async function leastPrivilege({ uri, options = {}, config = {}, needed }: Way): Promise<void> {
  const args = [uri, JSON.stringify(options), JSON.stringify(config)];
  const flags = needed.map((permission) => `--allow-${permission}`);
  assertEquals(await run(client, flags, ...args), { printed: "hello\n", asked: needed.toSorted() });
  for (const missing of flags) {
    const { printed } = await run(client, flags.filter((flag) => flag !== missing), ...args);
    assert(printed.startsWith("ConnectError: "), printed);
    assert(printed.includes(missing), `"${printed}" names ${missing}`);
  }
}

Deno.test("mod.ts loads without any permission, asks for none, and does not look at Deno", async () => {
  const script = join(folder, "load.js");
  await Deno.writeTextFile(
    script,
    `
    const looks = [];
    const { Deno } = globalThis;
    Object.defineProperty(globalThis, "Deno", { get: () => { looks.push(new Error().stack); return Deno; } });
    const { MQTTClient } = await import("./mod.js");
    console.log(looks.length, typeof MQTTClient);
  `,
  );
  assertEquals(await run(script, []), { printed: "0 function\n", asked: [] });
  const without = join(folder, "without.js");
  await Deno.writeTextFile(
    without,
    `
    delete globalThis.Deno;
    const { MQTTClient } = await import("./mod.js");
    const { clientId } = new MQTTClient({ config: { keep_alive: 5 } });
    console.log(clientId.length);
  `,
  );
  assertEquals(await run(without, []), { printed: "23\n", asked: [] });
});

Deno.test("MQTTClient.connect() tells that the address of a host is denied, and does not try again", async () => {
  const script = join(folder, "denied.js");
  await Deno.writeTextFile(
    script,
    `
    const { MQTTClient } = await import("./mod.js");
    const client = new MQTTClient();
    client.addEventListener("reconnecting", () => console.log("again"));
    await client.connect(Deno.args[0]).catch(({ permanent, message }) => console.log(permanent, message));
  `,
  );
  const says = /^true Cannot connect to .*"(127\.0\.0\.1|\[::1\]):1".*check --allow-net and --deny-net\n$/;
  await Promise.all(["mqtt", "mqtts", "ws", "wss"].map(async (scheme) => {
    const { printed } = await run(script, ["--allow-net", "--deny-net=127.0.0.1,[::1]"], `${scheme}://localhost:1`);
    assertMatch(printed, says);
  }));
});

brokerTest("MQTTClient over mqtt and ws takes --allow-net=HOST:PORT and nothing else", {
  listeners: ["mqtt", "ws"],
}, async ({ ports, uris }) => {
  await using _awake = await keepAwake(ports.mqtt);
  await Promise.all([
    leastPrivilege({ uri: uris.mqtt, needed: [`net=127.0.0.1:${ports.mqtt}`] }),
    leastPrivilege({ uri: uris.ws, needed: [`net=127.0.0.1:${ports.ws}`] }),
    leastPrivilege({ uri: `mqtt://localhost:${ports.mqtt}`, needed: [`net=localhost:${ports.mqtt}`] }),
    leastPrivilege({ uri: `ws://localhost:${ports.ws}`, needed: [`net=localhost:${ports.ws}`] }),
  ]);
});

brokerTest(
  "MQTTClient over mqtts and wss takes --allow-net=HOST:PORT, --allow-read=FILE for each file, and nothing else",
  {
    listeners: ["mqtt", "mqtts", "wss", "mutual"],
    certificates,
  },
  async ({ ports, uris, certificates: { ca, caFolder, client: { certificate, key } } }) => {
    await using _awake = await keepAwake(ports.mqtt);
    const config = { certfile: certificate, keyfile: key };
    await Promise.all([
      leastPrivilege({
        uri: uris.mqtts,
        options: { caFile: ca },
        needed: [`net=127.0.0.1:${ports.mqtts}`, `read=${ca}`],
      }),
      leastPrivilege({ uri: uris.wss, options: { caFile: ca }, needed: [`net=127.0.0.1:${ports.wss}`, `read=${ca}`] }),
      leastPrivilege({
        uri: uris.mqtts,
        options: { caData: await Deno.readTextFile(ca) },
        needed: [`net=127.0.0.1:${ports.mqtts}`],
      }),
      leastPrivilege({
        uri: uris.mutual,
        options: { caFile: ca },
        config,
        needed: [`net=127.0.0.1:${ports.mutual}`, `read=${ca}`, `read=${certificate}`, `read=${key}`],
      }),
    ]);
    // A folder includes its files, each of which is asked for.
    const { printed, asked } = await run(
      client,
      [`--allow-net=127.0.0.1:${ports.mqtts}`, `--allow-read=${caFolder}`],
      uris.mqtts,
      JSON.stringify({ caPath: caFolder }),
      "{}",
    );
    assertEquals(printed, "hello\n");
    assertEquals(asked, [`net=127.0.0.1:${ports.mqtts}`, `read=${caFolder}`, `read=${ca}`].sort());
  },
);

brokerTest(
  "MQTTClient over a Unix socket takes --allow-read, --allow-write and --allow-net=unix: for it, and nothing else",
  {
    listeners: ["unix"],
  },
  async ({ uris }) => {
    const path = uris.unix.slice("unix:".length);
    await leastPrivilege({ uri: uris.unix, needed: [`read=${path}`, `write=${path}`, `net=unix:${path}`] });
    const args = [`unix:${relative(Deno.cwd(), path)}`, "{}", "{}"];
    const refused = await run(client, [], ...args);
    const flags = /run with (.*)$/m.exec(refused.printed)?.[1].split(" ") ?? [];
    assertEquals((await run(client, flags, ...args)).printed, "hello\n", "a relative path takes what the error names");
  },
);
