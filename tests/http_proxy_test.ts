import { assertEquals, assertStringIncludes } from "@std/assert";
import { fileURLToPath } from "node:url";
import { MQTTClient, QOS_1 } from "../mod.ts";
import { stdFlags } from "../tools/std.ts";
import { brokerTest } from "./helpers/brokers.ts";
import { startEmbeddedBroker } from "./helpers/embedded_broker.ts";
import { startHttpProxy } from "./helpers/relay.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const flags = await stdFlags();

Deno.test("examples/http_proxy.ts publishes by way of the proxy, which is all that it may reach", async () => {
  await using broker = await startEmbeddedBroker();
  await using watcher = new MQTTClient();
  await watcher.connect(broker.uri);
  await watcher.subscribe("example/proxy", QOS_1);
  await using proxy = startHttpProxy(broker.port);
  assertEquals(await runExample("mqtt://broker.invalid:1234", proxy.uri), {
    code: 0,
    stdout: `published by way of ${proxy.uri}\n`,
    stderr: "",
  });
  assertEquals((await watcher.deliverMessage(5)).text(), "hello");
  assertEquals(proxy.requests, ["CONNECT broker.invalid:1234 HTTP/1.1"]);
});

brokerTest(
  "examples/http_proxy.ts speaks TLS with the broker through the proxy",
  { listeners: ["mqtts"] },
  async (broker) => {
    await using proxy = startHttpProxy(broker.ports.mqtts);
    const { code, stderr } = await runExample(broker.uris.mqtts, proxy.uri, { DENO_CERT: broker.certificates.ca });
    assertEquals([code, stderr], [0, ""]);
    assertEquals(proxy.requests, [`CONNECT 127.0.0.1:${broker.ports.mqtts} HTTP/1.1`]);
  },
);

Deno.test("examples/http_proxy.ts says what the proxy answered", async () => {
  await using proxy = startHttpProxy();
  const { code, stderr } = await runExample("mqtt://broker.invalid:1234", proxy.uri);
  assertEquals(code, 1);
  assertStringIncludes(stderr, "The proxy gives no way to broker.invalid:1234: HTTP/1.1 403 Forbidden");
  assertEquals(proxy.requests.length, 1);
});

/** Runs the example with exactly the permission that the comment at its top names, for another proxy. */
async function runExample(uri: string, proxyUri: string, env: Record<string, string> = {}) {
  const source = await Deno.readTextFile(new URL("../examples/http_proxy.ts", import.meta.url));
  const [, permission] = /^\/\/ {3}deno run (\S+) examples\/http_proxy.ts mqtt:\S+ http:\S+$/m.exec(source) ?? [];
  const options = ["--quiet", "--no-prompt", "--cached-only", ...flags];
  const granted = permission.replace("localhost:3128", new URL(proxyUri).host);
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", ...options, granted, "examples/http_proxy.ts", uri, proxyUri],
    env: { NO_COLOR: "1", ...env },
    cwd: ROOT,
    stdin: "null",
  }).output();
  return { code, stdout: new TextDecoder().decode(stdout), stderr: new TextDecoder().decode(stderr) };
}
