import { assertEquals } from "@std/assert";
import { Traffic } from "../../src/observe/stats.ts";

Deno.test("Traffic begins with nothing", () => {
  const { bytesReceived, bytesSent, packetsReceived, packetsSent, messagesReceived, messagesSent } = new Traffic();
  assertEquals([bytesReceived, bytesSent, packetsReceived, packetsSent, messagesReceived, messagesSent], [
    0,
    0,
    0,
    0,
    0,
    0,
  ]);
});
