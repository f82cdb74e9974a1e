// Answers the requests of examples/request.ts, until it is interrupted by Ctrl+C or has answered so many.
//
//   deno run --allow-net=localhost:1883 examples/respond.ts mqtt://localhost:1883
import { MQTTClient } from "@hbmqtt/client";

const [uri = "mqtt://localhost:1883", count = "Infinity"] = Deno.args;

await using client = new MQTTClient({ config: { protocol_version: 5 } });
await client.connect(uri);
const { promise: done, resolve } = Promise.withResolvers<void>();
Deno.addSignalListener("SIGINT", resolve);
let left = Number(count);
await using _responder = await client.respond("example/upper", (request) => {
  if (--left === 0) resolve();
  return request.text().toUpperCase();
});
console.log("ready");
await done;
Deno.removeSignalListener("SIGINT", resolve);
