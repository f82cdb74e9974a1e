import type { Endpoint } from "../endpoint.ts";
import { abortable } from "./abortable.ts";
import type { Certificates } from "./certificates.ts";
import { StreamTransport } from "./stream.ts";
import { connectTcp } from "./tcp.ts";
import type { OpenOptions, Transport } from "./transport.ts";

/** What a TLS connection is made with. */
export interface TlsOptions extends OpenOptions {
  certificates: Certificates;
  /** Whether the certificate has to be valid for the host's name. */
  checkHostname: boolean;
  /** The protocols to offer by ALPN; empty: none. */
  alpnProtocols: readonly string[];
}

/** Opens a TLS connection, with the handshake done. */
export async function openTls(endpoint: Endpoint, options: TlsOptions): Promise<Transport> {
  const { signal } = options;
  const conn = await (options.certificates.cert === undefined ? startTls : connectTls)(endpoint, options);
  const transport = new StreamTransport(conn);
  const abort = () => transport.close();
  signal.addEventListener("abort", abort);
  try {
    signal.throwIfAborted();
    await conn.handshake();
    return transport;
  } catch (error) {
    transport.close();
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

/** Takes the way over TCP, on which small packets need not wait for the acknowledgement of the ones before them. */
async function startTls(endpoint: Endpoint, options: TlsOptions): Promise<Deno.TlsConn> {
  const { signal, certificates: { caCerts } } = options;
  const conn = await connectTcp(endpoint, signal);
  return await Deno.startTls(conn, { hostname: endpoint.hostname, caCerts, ...tlsOptions(options) });
}

/** Takes the only way that Deno has with a client certificate. */
function connectTls({ hostname, port }: Endpoint, options: TlsOptions): Promise<Deno.TlsConn> {
  const { signal, certificates } = options;
  return abortable(Deno.connectTls({ hostname, port, ...certificates, ...tlsOptions(options) }), signal);
}

function tlsOptions({ checkHostname, alpnProtocols }: TlsOptions) {
  return {
    unsafelyDisableHostnameVerification: !checkHostname,
    alpnProtocols: alpnProtocols.length > 0 ? [...alpnProtocols] : undefined,
  };
}
