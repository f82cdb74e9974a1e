import { makeCertificates } from "../tests/helpers/certificates.ts";
import type { Mode, Report } from "./load_server.ts";
import { script } from "./script.ts";

/** Where the certificates are that servers over TLS show. */
export interface TlsFiles {
  folder: string;
  /** The authority that a client has to trust. */
  caFile: string;
}

export interface ServerOptions {
  n?: number;
  size?: number;
  qos?: number;
  window?: number;
  topics?: number;
  hold?: number;
  over?: "tcp" | "tls" | "ws";
  tls?: TlsFiles;
}

const SCHEMES = { tcp: "mqtt", tls: "mqtts", ws: "ws" };

/** How long a server may take to tell what it has counted, once its client is gone, in milliseconds. */
const PATIENCE = 2000;

/** Makes the certificates for servers over TLS. */
export async function makeTlsFiles(folder: string): Promise<TlsFiles> {
  const { ca, server } = await makeCertificates(folder);
  await Deno.copyFile(server.certificate, `${folder}/cert.pem`);
  await Deno.copyFile(server.key, `${folder}/key.pem`);
  return { folder, caFile: ca };
}

/** A load server in a process of its own. */
export class Server {
  readonly uri: string;
  readonly #process: Deno.ChildProcess;
  readonly #lines: ReadableStreamDefaultReader<string>;
  #text: string;

  private constructor(
    process: Deno.ChildProcess,
    lines: ReadableStreamDefaultReader<string>,
    text: string,
    scheme: string,
  ) {
    const [first, ...rest] = text.split("\n");
    this.uri = `${scheme}://127.0.0.1:${JSON.parse(first).listening}`;
    this.#process = process;
    this.#lines = lines;
    this.#text = rest.join("\n");
  }

  static async start(mode: Mode, { over = "tcp", tls, ...options }: ServerOptions): Promise<Server> {
    const process = script("./load_server.ts", [
      mode,
      ...Object.entries(options).filter(([, value]) => value !== undefined).map(([name, value]) =>
        `--${name}=${value}`
      ),
      ...(over === "tls" && tls !== undefined ? [`--tls=${tls.folder}`] : []),
      ...(over === "ws" ? ["--ws"] : []),
    ], { stdout: "piped" }).spawn();
    const lines = process.stdout.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    while (!text.includes("\n")) {
      const { value, done } = await lines.read();
      if (done) throw new Error("the load server did not start");
      text += value;
    }
    return new Server(process, lines, text, SCHEMES[over]);
  }

  /** Ends the server, and gives what it has counted for its busiest client. */
  async stop(): Promise<Report> {
    const deadline = setTimeout(() => this.#kill(), PATIENCE);
    while (!this.#text.includes("\n")) {
      const { value, done } = await this.#lines.read();
      if (done) break;
      this.#text += value;
    }
    clearTimeout(deadline);
    this.#kill();
    await this.#lines.cancel();
    await this.#process.status;
    const reports: Report[] = this.#text.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line));
    return reports.sort((a, b) => b.pubs + b.sent - a.pubs - a.sent)[0] ??
      { pubs: 0, sent: 0, done: 0, lastMs: 0, ackMs: 0, cpuMs: 0 };
  }

  #kill(): void {
    try {
      this.#process.kill("SIGKILL");
    } catch {
      // It was killed for want of a report.
    }
  }
}
