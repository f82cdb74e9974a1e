import aedes from "aedes";
import { createServer, type Socket } from "node:net";
import { closeServer, listenOnLoopback } from "./sockets.ts";
import { readWhole } from "./whole_reads.ts";

/** A broker inside the test's own process, for what needs no more than MQTT 3.1.1 over TCP. */
export interface EmbeddedBroker extends AsyncDisposable {
  readonly uri: string;
  readonly port: number;
}

/** Starts a broker on a free port of 127.0.0.1. Its sessions and retained messages are gone when it is disposed. */
export async function startEmbeddedBroker(): Promise<EmbeddedBroker> {
  const broker = aedes.createBroker();
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.setNoDelay(true);
    socket.once("close", () => sockets.delete(socket));
    // A client that resets the connection is no fault of the broker.
    socket.on("error", () => {});
    readWhole(socket);
    broker.handle(socket);
  });
  const port = await listenOnLoopback(server);
  return {
    uri: `mqtt://127.0.0.1:${port}`,
    port,
    async [Symbol.asyncDispose]() {
      const closed = closeServer(server);
      await new Promise<void>((resolve) => broker.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
