// A worker of a pool. The workers share the jobs that are published to example/jobs/#, and publish the results. Start as many as you
// like, each with a name of its own, and have one that ends started again by its name (`Restart=always` in systemd).
//
//   deno run --allow-net=localhost:1883 examples/worker_pool.ts mqtt://localhost:1883
//
// What makes it lose nothing, even when a worker is killed amid a job:
// - QoS 1 and `manual_ack`: a job that is not acknowledged is still the broker's.
// - `cleansession: false` and `session_expiry_interval`: the broker keeps the jobs of a worker that is gone, and gives them to the one that
//   comes back by its name in this time. Some brokers give them to other workers when the session ends; Mosquitto 2.0 drops them then.
// - `receive_maximum: 1`: a worker gets a job when it has acknowledged the one before, so its memory holds one, however many wait.
// - `keep_alive`: a killed process is noticed at once, since its system closes the connection; a machine that is cut off is after one
//   and a half times this.
//
// A job is done twice when its worker is killed between the end of it and its acknowledgement, so to do it twice must do no harm.
import { type ApplicationMessage, MQTTClient, QOS_1 } from "@hbmqtt/client";
import { delay } from "@std/async";

const [uri = "mqtt://localhost:1883", name = "worker-1", seconds = "1"] = Deno.args;

/** Stands for the work. */
async function run(job: ApplicationMessage): Promise<string> {
  await delay(Number(seconds) * 1000);
  return `${job.text()} done by ${name}, process ${Deno.pid}`;
}

await using client = new MQTTClient({
  clientId: `example-pool-${name}`,
  config: {
    protocol_version: 5,
    cleansession: false,
    session_expiry_interval: 3600,
    manual_ack: true,
    receive_maximum: 1,
    keep_alive: 5,
    reconnect_retries: -1,
  },
});
const jobs = client.messages("$share/pool/example/jobs/#"); // before connect(), for those that the session already has
await client.connect(uri);
await client.subscribe("$share/pool/example/jobs/#", QOS_1);
console.log("ready");
for await (const job of jobs) {
  const result = await run(job);
  await client.publish(job.topic.replace("/jobs/", "/results/"), result, { qos: QOS_1 });
  job.ack();
}
