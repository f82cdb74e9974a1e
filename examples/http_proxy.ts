// Publishes through an HTTP proxy, by a transport of its own: CONNECT asks the proxy for a connection to the broker.
//
//   deno run --allow-net=localhost:3128 examples/http_proxy.ts mqtt://localhost:1883 http://localhost:3128
import { ConnectError, MQTTClient, type OpenTransport, QOS_1, type Transport } from "@hbmqtt/client";

const [uri = "mqtt://localhost:1883", proxy = "http://localhost:3128"] = Deno.args;

await using client = new MQTTClient({ transport: throughProxy(new URL(proxy)) });
await client.connect(uri);
await client.publish("example/proxy", "hello", { qos: QOS_1 });
console.log(`published by way of ${proxy}`);

function throughProxy(proxy: URL): OpenTransport {
  return async ({ scheme, hostname, port }, { signal }) => {
    const conn = await Deno.connect({ hostname: proxy.hostname, port: Number(proxy.port || 80), signal });
    const abort = () => conn.close();
    signal.addEventListener("abort", abort);
    try {
      await requestTunnel(conn, `${hostname}:${port}`);
    } catch (error) {
      if (!signal.aborted) conn.close();
      throw error;
    } finally {
      signal.removeEventListener("abort", abort);
    }
    return transportOver(scheme === "mqtts" ? await Deno.startTls(conn, { hostname }) : conn);
  };
}

/** Has the proxy connect to `authority`; what comes after its answer is the broker's. */
async function requestTunnel(conn: Deno.Conn, authority: string): Promise<void> {
  const { read, write } = transportOver(conn, 1);
  await write(new TextEncoder().encode(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n\r\n`));
  let answer = "";
  while (!answer.endsWith("\r\n\r\n")) {
    const byte = await read();
    if (byte === null) throw new Error("The proxy closed the connection");
    answer += String.fromCharCode(...byte);
  }
  const [line] = answer.split("\r\n", 1), [, status] = line.split(" ");
  if (status === "200") return;
  // What the proxy forbids it will not allow the next time: there is no use in trying again.
  throw new ConnectError(`The proxy gives no way to ${authority}: ${line}`, { permanent: status.startsWith("4") });
}

function transportOver(conn: Deno.Conn, bufferSize = 64 * 1024): Transport {
  const buffer = new Uint8Array(bufferSize);
  let closed = false;
  return {
    async read() {
      try {
        const length = await conn.read(buffer);
        return length === null ? null : buffer.subarray(0, length);
      } catch (error) {
        if (closed) return null;
        throw error;
      }
    },
    async write(bytes) {
      return await conn.write(bytes);
    },
    close() {
      if (closed) return;
      closed = true;
      conn.close();
    },
    closeWrite: () => conn.closeWrite(),
  };
}
