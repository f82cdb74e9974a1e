import { assertEquals } from "@std/assert";
import aedes from "aedes";
import { Buffer } from "node:buffer";
import { Duplex, Readable } from "node:stream";
import { readWhole } from "./whole_reads.ts";
import { connectMessage } from "./wire.ts";

Deno.test("readWhole() lets read() give all chunks, then nothing, and leaves other sizes and the end alone", async () => {
  const stream = new Readable({ read() {} });
  readWhole(stream);
  const ended = new Promise<void>((resolve) => stream.once("end", resolve));
  for (const text of ["a", "bc", "def"]) stream.push(text);
  assertEquals(String(stream.read(1)), "a");
  assertEquals(String(stream.read()), "bcdef");
  assertEquals(stream.read(), null);
  stream.push("g");
  stream.push(null);
  assertEquals(String(stream.read()), "g");
  await ended;
});

Deno.test("readWhole() lets aedes take the chunk after one of acknowledgements", async () => {
  const broker = aedes.createBroker();
  const written = Promise.withResolvers<void>();
  const answers: Uint8Array[] = [];
  const stream = new Duplex({
    read() {},
    write(chunk: Buffer, _encoding, done) {
      answers.push(chunk);
      if (Buffer.concat(answers).length === 6) written.resolve();
      done();
    },
  });
  stream.once("close", () => written.resolve());
  readWhole(stream);
  const ready = new Promise<void>((resolve) => broker.once("clientReady", () => resolve()));
  broker.handle(stream);
  stream.push(connectMessage());
  await ready;
  for (const bytes of [[0x40, 2, 0, 1, 0x40, 2, 0, 2], [0xc0, 0]]) stream.push(Uint8Array.from(bytes));
  await written.promise;
  assertEquals([...Buffer.concat(answers)], [0x20, 2, 0, 0, 0xd0, 0]);
  await new Promise<void>((resolve) => broker.close(resolve));
});
