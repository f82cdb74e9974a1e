import { assertEquals, assertRejects } from "@std/assert";
import { loadCertificates } from "../../src/transport/certificates.ts";
import { parseEndpoint } from "../../src/endpoint.ts";
import { openTls, type TlsOptions } from "../../src/transport/tls.ts";
import type { Transport } from "../../src/transport/transport.ts";
import { concat } from "../codec/bytes.ts";
import type { Certificates, KeyPair } from "../helpers/certificates.ts";
import { certificatesOfFile } from "../helpers/file_certificates.ts";
import { startFaultProxy } from "../helpers/fault_proxy.ts";
import { type PeerConnection, startScriptedPeer } from "../helpers/scripted_peer.ts";
import { readExactly } from "../helpers/wire.ts";
import { type Connected, transportContract } from "./contract.ts";

const { certificates, tlsTest } = await certificatesOfFile();

transportContract("openTls()", connect, { register: (name, test) => tlsTest(name, () => test()) });

/** The two ways that Deno has, without a client certificate and with one. */
const WAYS = ["without", "with"] as const;

for (const way of WAYS) {
  tlsTest(
    `openTls() ${way} a client certificate is done with the handshake, and carries bytes both ways`,
    async (made) => {
      using listener = listen(made.server);
      const accepting = accept(listener);
      const transport = await open(listener, { certificates: await certificatesFor(way, made) });
      const conn = await accepting;
      await transport.write(Uint8Array.of(1, 2, 3));
      assertEquals(await readExactly(conn, 3), Uint8Array.of(1, 2, 3));
      await conn.write(Uint8Array.of(4, 5));
      assertEquals((await transport.read())?.slice(), Uint8Array.of(4, 5));
      conn.close();
      assertEquals(await transport.read(), null);
      transport.close();
    },
  );

  tlsTest(`openTls() ${way} a client certificate offers protocols by ALPN`, async (made) => {
    using listener = listen(made.server, ["mqtt", "x-amzn-mqtt-ca"]);
    const certificates = await certificatesFor(way, made);
    for (
      const [offered, agreed] of [[["x-amzn-mqtt-ca"], "x-amzn-mqtt-ca"], [["x", "mqtt"], "mqtt"], [[], null]] as const
    ) {
      const accepting = accept(listener);
      const transport = await open(listener, { certificates, alpnProtocols: offered });
      const conn = await accepting;
      assertEquals((await conn.handshake()).alpnProtocol, agreed);
      conn.close();
      transport.close();
    }
    const refusing = assertRejects(() => accept(listener), Error);
    await assertRejects(
      () => open(listener, { certificates, alpnProtocols: ["other"] }),
      Deno.errors.InvalidData,
      "NoApplicationProtocol",
    );
    await refusing;
  });

  tlsTest(`openTls() ${way} a client certificate names a host by SNI, and an address not`, async (made) => {
    const certificates = await certificatesFor(way, made);
    for (const [hostname, name] of [["localhost", "localhost"], ["127.0.0.1", undefined]] as const) {
      await using peer = await startScriptedPeer();
      const opening = open({ hostname, port: peer.port }, { certificates });
      const connection = await peer.accept();
      assertEquals(serverName(await readClientHello(connection)), name);
      await connection.close();
      await assertRejects(() => opening, Error);
    }
  });

  tlsTest(
    `openTls() ${way} a client certificate checks the name of the host unless it is told not to`,
    async (made) => {
      using listener = listen(made.wrongHost);
      const certificates = await certificatesFor(way, made);
      const refusing = assertRejects(() => accept(listener), Error);
      await assertRejects(() => open(listener, { certificates }), Deno.errors.InvalidData, "not valid for name");
      await refusing;
      const accepting = accept(listener);
      const transport = await open(listener, { certificates, checkHostname: false });
      transport.close();
      (await accepting).close();
    },
  );

  tlsTest(`openTls() ${way} a client certificate closes the connection when the handshake fails`, async (made) => {
    await using peer = await startScriptedPeer();
    const opening = open({ hostname: "127.0.0.1", port: peer.port }, {
      certificates: await certificatesFor(way, made),
    });
    const connection = await peer.accept();
    await readClientHello(connection);
    await connection.write(new TextEncoder().encode("HTTP/1.1 400 Bad Request\r\n\r\n"));
    await assertRejects(() => opening, Deno.errors.InvalidData);
    await connection.readToEnd();
  });

  tlsTest(
    `openTls() ${way} a client certificate gives up with the signal's reason while the server is silent`,
    async (made) => {
      await using peer = await startScriptedPeer();
      const controller = new AbortController();
      const { signal } = controller;
      const certificates = await certificatesFor(way, made);
      const opening = open({ hostname: "127.0.0.1", port: peer.port }, { certificates, signal });
      const connection = await peer.accept();
      await readClientHello(connection);
      controller.abort(new RangeError("enough"));
      await assertRejects(() => opening, RangeError, "enough");
      await connection.close(); // Deno keeps the socket until the server does something.
    },
  );

  tlsTest(`openTls() ${way} a client certificate gives up at once with a signal that is aborted`, async (made) => {
    await using peer = await startScriptedPeer();
    const signal = AbortSignal.abort(new RangeError("enough"));
    const certificates = await certificatesFor(way, made);
    const opening = open({ hostname: "127.0.0.1", port: peer.port }, { certificates, signal });
    await assertRejects(() => opening, RangeError, "enough");
  });
}

const ipv6Test: typeof tlsTest = hasIpv6() ? tlsTest : () => {};
ipv6Test("openTls() reaches an IPv6 address that the certificate is for", async (made) => {
  using listener = Deno.listenTls({ hostname: "::1", port: 0, ...pem(made.server) });
  const accepting = accept(listener);
  const transport = await open(listener, { certificates: await certificatesFor("without", made) });
  transport.close();
  (await accepting).close();
});

function hasIpv6(): boolean {
  try {
    Deno.listen({ hostname: "::1", port: 0 }).close();
    return true;
  } catch {
    return false;
  }
}

/** A transport and the server's end of its connection, with what can break it between them. */
async function connect(): Promise<Connected> {
  if (certificates === undefined) throw new Error("There are no certificates");
  using listener = listen(certificates.server);
  const proxy = await startFaultProxy(listener.addr.port);
  const accepting = accept(listener);
  const to = { hostname: "127.0.0.1", port: proxy.port };
  const transport = await open(to, { certificates: await certificatesFor("without", certificates) });
  const conn = await accepting;
  return {
    transport,
    peer: {
      read: (count) => readExactly(conn, count),
      readToEnd: () => readToEnd(conn),
      write: (bytes) => writeAll(conn, bytes),
      closeFin: () => conn.closeWrite(),
      closeRst: () => proxy.cut("rst"),
    },
    async [Symbol.asyncDispose]() {
      transport.close();
      conn.close();
      await proxy[Symbol.asyncDispose]();
    },
  };
}

async function readToEnd(conn: Deno.Conn): Promise<Uint8Array> {
  const chunks = [];
  const buffer = new Uint8Array(16 * 1024);
  for (;;) {
    const length = await conn.read(buffer);
    if (length === null) return concat(chunks);
    chunks.push(buffer.slice(0, length));
  }
}

async function writeAll(conn: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await conn.write(bytes.subarray(at));
}

function listen(pair: KeyPair, alpnProtocols?: string[]): Deno.TlsListener {
  return Deno.listenTls({ hostname: "127.0.0.1", port: 0, alpnProtocols, ...pem(pair) });
}

function pem({ certificate, key }: KeyPair) {
  return { cert: Deno.readTextFileSync(certificate), key: Deno.readTextFileSync(key) };
}

/** Takes the next connection, with the handshake done, or closed where that fails. */
async function accept(listener: Deno.TlsListener): Promise<Deno.TlsConn> {
  const conn = await listener.accept();
  try {
    await conn.handshake();
    return conn;
  } catch (error) {
    conn.close();
    throw error;
  }
}

function open(
  to: Deno.TlsListener | { hostname: string; port: number },
  options: Partial<TlsOptions>,
): Promise<Transport> {
  const { hostname, port } = "addr" in to ? to.addr : to;
  const host = hostname.includes(":") ? `[${hostname}]` : hostname;
  return openTls(parseEndpoint(`mqtts://${host}:${port}`), {
    signal: new AbortController().signal,
    certificates: { caCerts: [] },
    checkHostname: true,
    alpnProtocols: [],
    ...options,
  });
}

function certificatesFor(way: typeof WAYS[number], { ca, client }: Certificates) {
  return loadCertificates({
    caFile: ca,
    ...way === "with" ? { certFile: client.certificate, keyFile: client.key } : {},
  });
}

async function readClientHello(connection: PeerConnection): Promise<Uint8Array> {
  const [, , , high, low] = await connection.read(5);
  return await connection.read(high * 256 + low);
}

/** Gives the name in the extension server_name (0) of a ClientHello (RFC 8446 §4.1.2, RFC 6066 §3). */
function serverName(hello: Uint8Array): string | undefined {
  const view = new DataView(hello.buffer, hello.byteOffset);
  let at = 4 + 2 + 32; // the handshake's header, the version, the random
  at += 1 + hello[at]; // session
  at += 2 + view.getUint16(at); // cipher suites
  at += 1 + hello[at]; // compression methods
  for (at += 2; at < hello.length; at += 4 + view.getUint16(at + 2)) {
    // A list of one entry: its type (0), then the name.
    if (view.getUint16(at) === 0) {
      return new TextDecoder().decode(hello.subarray(at + 9, at + 9 + view.getUint16(at + 7)));
    }
  }
}
