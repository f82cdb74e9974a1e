// Asks a responder, such as examples/respond.ts, and prints what it answers; each request waits 5 s at the most.
//
//   deno run --allow-net=localhost:1883 examples/request.ts mqtt://localhost:1883
import { MQTTClient, QOS_1 } from "@hbmqtt/client";

const [uri = "mqtt://localhost:1883", ...words] = Deno.args;

await using client = new MQTTClient({ config: { protocol_version: 5 } });
await client.connect(uri);
for (const word of words.length > 0 ? words : ["hello"]) {
  const response = await client.request("example/upper", word, { qos: QOS_1, timeout: 5 });
  console.log(`${word} => ${response.text()}`);
}
