/** A connection of the runtime's own with nothing above it. */
export interface RawLink {
  /** Called with what comes; the bytes stay as they are only during the call. */
  onBytes: (bytes: Uint8Array) => void;
  write(bytes: Uint8Array): Promise<void>;
  close(): void;
}

/** With more bytes than this not yet sent, writing to a WebSocket waits. */
const HIGH_WATER = 1024 * 1024;

/** Connects by TCP, TLS or WebSocket, as the scheme says. */
export async function openLink(uri: string, caFile: string | undefined): Promise<RawLink> {
  const { protocol, hostname, port } = new URL(uri);
  if (protocol === "ws:") return await openWebSocket(uri);
  const conn = await Deno.connect({ hostname, port: Number(port) });
  conn.setNoDelay(true);
  if (protocol === "mqtt:") return streamLink(conn);
  const caCerts = caFile === undefined ? [] : [await Deno.readTextFile(caFile)];
  return streamLink(await Deno.startTls(conn, { hostname, caCerts }));
}

function streamLink(conn: Deno.Conn): RawLink {
  const link: RawLink = {
    onBytes: () => {},
    async write(bytes) {
      for (let at = 0; at < bytes.length;) at += await conn.write(bytes.subarray(at));
    },
    close: () => conn.close(),
  };
  (async () => {
    const buffer = new Uint8Array(64 * 1024);
    try {
      for (let length = await conn.read(buffer); length !== null; length = await conn.read(buffer)) {
        link.onBytes(buffer.subarray(0, length));
      }
    } catch {
      // Closed.
    }
  })();
  return link;
}

async function openWebSocket(uri: string): Promise<RawLink> {
  const socket = new WebSocket(uri, "mqtt");
  socket.binaryType = "arraybuffer";
  const link: RawLink = {
    onBytes: () => {},
    async write(bytes) {
      socket.send(bytes as Uint8Array<ArrayBuffer>);
      while (socket.bufferedAmount > HIGH_WATER) await new Promise((resolve) => setTimeout(resolve, 1));
    },
    close: () => socket.close(),
  };
  socket.onmessage = ({ data }) => link.onBytes(new Uint8Array(data));
  await new Promise((resolve, reject) => {
    socket.onopen = resolve;
    socket.onerror = reject;
  });
  return link;
}
