import { delay } from "@std/async";
import { join } from "node:path";
import { type Certificates, type KeyPair, makeCertificates } from "./certificates.ts";
import { findProgram } from "./programs.ts";

/**
 * What mosquitto can listen on: one of the client's schemes, `password` (TCP, with one of `users`),
 * or `mutual` (TLS that asks the client for a certificate).
 */
export type ListenerName = "mqtt" | "mqtts" | "ws" | "wss" | "unix" | "password" | "mutual";

export interface MosquittoOptions<Name extends ListenerName = ListenerName> {
  /** @default {["mqtt"]} */
  listeners?: readonly Name[];
  /** Lines of mosquitto.conf that hold for the whole broker. */
  config?: readonly string[];
  /** Lines of mosquitto.conf that hold for each listener. */
  listenerConfig?: readonly string[];
  /** Whether listeners other than `password` let clients in without a name. @default {true} */
  allowAnonymous?: boolean;
  /** Names and passwords for the `password` listener. @default {{ user: "password" }} */
  users?: Readonly<Record<string, string>>;
  /** Whether sessions and retained messages outlive {@linkcode Mosquitto.restart}. @default {false} */
  persistence?: boolean;
  /** `max_packet_size`, in bytes: what MQTT 5.0 clients are told, and larger ones cut off for. 0: no limit. @default {0} */
  maxPacketSize?: number;
  /** `message_size_limit`, in bytes of payload. 0: no limit. @default {0} */
  messageSizeLimit?: number;
  /** `max_inflight_messages`, the QoS 1 and 2 messages under way per client and direction. 0: no limit. @default {0} */
  maxInflightMessages?: number;
  /** `max_queued_messages` per client. 0: no limit. @default {0} */
  maxQueuedMessages?: number;
  /** Whether every packet goes into the log. @default {false} */
  logPackets?: boolean;
  /** A set to use instead of one of the broker's own. */
  certificates?: Certificates;
  /** Which of the certificates the TLS listeners show. @default {"server"} */
  serverCertificate?: "server" | "expired" | "wrongHost" | "unknown";
}

/** Whether the machine has what these listeners need. */
export function mosquittoAvailable(listeners: readonly ListenerName[] = []): boolean {
  const programs = ["mosquitto"];
  if (listeners.includes("password")) programs.push("mosquitto_passwd");
  if (listeners.some(isTls)) programs.push("openssl");
  return programs.every((program) => findProgram(program) !== undefined);
}

/** Starts a mosquitto of the test's own on free ports of 127.0.0.1, and resolves when every listener takes connections. */
export async function startMosquitto<const Name extends ListenerName = "mqtt">(
  options: MosquittoOptions<Name> = {},
): Promise<Mosquitto<Name>> {
  // What is asked for decides the type, so the default is the one listener of the default type.
  const listeners = options.listeners ?? ["mqtt" as Name];
  const program = findProgram("mosquitto");
  if (program === undefined) throw new Error("Cannot find mosquitto: install it, or leave REQUIRE_BROKERS unset");
  const folder = await Deno.makeTempDir({ prefix: "mosquitto-" });
  try {
    const certificates = options.certificates ?? (listeners.some(isTls) ? await newCertificates(folder) : undefined);
    const passwordFile = listeners.includes("password" as Name)
      ? await makePasswordFile(folder, options.users)
      : undefined;
    for (let triesLeft = 5;; triesLeft--) {
      const addresses = freeAddresses(listeners, folder);
      const config = configuration(options, addresses, { folder, certificates, passwordFile });
      const configFile = join(folder, "mosquitto.conf");
      await Deno.writeTextFile(configFile, config);
      const command = new Deno.Command(program, {
        args: ["-c", configFile],
        stdin: "null",
        stdout: "null",
        stderr: "piped",
      });
      const broker = new Mosquitto<Name>(command, folder, addresses, certificates);
      try {
        await broker.start();
        return broker;
      } catch (error) {
        // Between finding a free port and using it, somebody else may take it.
        if (triesLeft === 0 || !/in use|Unable to start any listening sockets/.test(broker.log)) throw error;
      }
    }
  } catch (error) {
    await Deno.remove(folder, { recursive: true });
    throw error;
  }
}

const LOOPBACK = "127.0.0.1";

type Address = { port: number } | { path: string };

/** A mosquitto process with the listeners `Name`, or with any. Disposing it ends the process and removes its files. */
export class Mosquitto<Name extends ListenerName = never> implements AsyncDisposable {
  readonly #command: Deno.Command;
  readonly #folder: string;
  readonly #addresses: readonly Address[];
  readonly #certificates: Certificates | undefined;
  #process: Deno.ChildProcess | undefined;
  #ended: Promise<void> = Promise.resolve();
  #log = "";

  /** The URI of each listener; the numeric address, which every one of the server certificates but `wrongHost` is for. */
  readonly uris: Readonly<Record<Name, string>>;
  /** The port of each listener that has one. */
  readonly ports: Readonly<Record<Exclude<Name, "unix">, number>>;

  constructor(
    command: Deno.Command,
    folder: string,
    addresses: ReadonlyMap<Name, Address>,
    certificates: Certificates | undefined,
  ) {
    this.#command = command;
    this.#folder = folder;
    this.#addresses = [...addresses.values()];
    this.#certificates = certificates;
    const entries = [...addresses];
    this.uris = Object.fromEntries(entries.map(([name, address]) => [name, uri(name, address)])) as typeof this.uris;
    this.ports = Object.fromEntries(
      entries.flatMap(([name, address]) => "port" in address ? [[name, address.port]] : []),
    ) as typeof this.ports;
  }

  /** The files that the TLS listeners use, and those for clients. */
  get certificates(): Certificates {
    if (this.#certificates === undefined) throw new Error("No listener of this broker uses TLS");
    return this.#certificates;
  }

  /** What mosquitto said so far, over all restarts. */
  get log(): string {
    return this.#log;
  }

  /** Starts the process after {@linkcode kill}, on the same ports and with what was kept. */
  async start(): Promise<void> {
    if (this.#process !== undefined) throw new Error("The broker is running");
    const process = this.#command.spawn();
    this.#process = process;
    const state = { running: false, ended: false };
    const logStart = this.#log.length;
    this.#ended = this.#collectLog(process).then(async () => {
      await process.status;
      state.ended = true;
      this.#process = undefined;
    });
    try {
      // Connecting alone may find somebody else's server on the port.
      while (!state.running) {
        if (state.ended) throw new Error(`mosquitto ended at its start:\n${this.#log.slice(logStart)}`);
        state.running = this.#log.includes("running", logStart) && await this.#takesConnections();
        if (!state.running) await delay(2);
      }
    } catch (error) {
      await this.kill();
      throw error;
    }
  }

  /** Ends the process, and resolves when it is gone. SIGTERM lets it save what it keeps; SIGKILL is a crash. */
  async kill(signal: Deno.Signal = "SIGKILL"): Promise<void> {
    this.signal(signal);
    await this.#ended;
  }

  /** Sends a signal and waits for nothing: SIGSTOP makes a broker that no longer answers, SIGCONT ends that. */
  signal(signal: Deno.Signal): void {
    this.#process?.kill(signal);
  }

  /** Ends the process where it runs, and starts it again on the same ports. */
  async restart(signal: Deno.Signal = "SIGTERM"): Promise<void> {
    await this.kill(signal);
    await this.start();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await Deno.remove(this.#folder, { recursive: true });
  }

  async #collectLog(process: Deno.ChildProcess): Promise<void> {
    for await (const text of process.stderr.pipeThrough(new TextDecoderStream())) this.#log += text;
  }

  async #takesConnections(): Promise<boolean> {
    for (const address of this.#addresses) {
      try {
        const connection = "port" in address
          ? await Deno.connect({ hostname: LOOPBACK, port: address.port })
          : await Deno.connect({ transport: "unix", path: address.path });
        connection.close();
      } catch (error) {
        if (error instanceof Deno.errors.ConnectionRefused || error instanceof Deno.errors.NotFound) return false;
        throw error;
      }
    }
    return true;
  }
}

interface Files {
  folder: string;
  certificates: Certificates | undefined;
  passwordFile: string | undefined;
}

function configuration(options: MosquittoOptions, addresses: ReadonlyMap<ListenerName, Address>, files: Files): string {
  const { maxInflightMessages = 0, maxQueuedMessages = 0, messageSizeLimit = 0, maxPacketSize = 0 } = options;
  const { listenerConfig = [], allowAnonymous = true, serverCertificate = "server" } = options;
  const lines = [
    `per_listener_settings ${addresses.has("password")}`,
    `persistence ${options.persistence ?? false}`,
    `persistence_location ${files.folder}`,
    "log_dest stderr",
    ...(options.logPackets ? ["all"] : ["error", "warning", "notice", "information"]).map((type) => `log_type ${type}`),
    "set_tcp_nodelay true",
    `max_inflight_messages ${maxInflightMessages}`,
    `max_queued_messages ${maxQueuedMessages}`,
  ];
  if (messageSizeLimit > 0) lines.push(`message_size_limit ${messageSizeLimit}`);
  if (maxPacketSize > 0) lines.push(`max_packet_size ${maxPacketSize}`);
  // Started by root it would become another user, who may not read the folder.
  if (Deno.uid() === 0) lines.push("user root");
  lines.push(...options.config ?? []);
  for (const [name, address] of addresses) {
    lines.push("port" in address ? `listener ${address.port} ${LOOPBACK}` : `listener 0 ${address.path}`);
    if (name === "ws" || name === "wss") lines.push("protocol websockets");
    if (isTls(name)) lines.push(...tlsLines(files.certificates!, serverCertificate));
    if (name === "mutual") lines.push("require_certificate true");
    if (name === "password") lines.push(`password_file ${files.passwordFile}`);
    lines.push(`allow_anonymous ${name !== "password" && allowAnonymous}`, ...listenerConfig);
  }
  return `${lines.join("\n")}\n`;
}

function tlsLines(certificates: Certificates, shown: NonNullable<MosquittoOptions["serverCertificate"]>): string[] {
  const { certificate, key }: KeyPair = certificates[shown];
  return [`cafile ${certificates.ca}`, `certfile ${certificate}`, `keyfile ${key}`];
}

function isTls(name: ListenerName): boolean {
  return name === "mqtts" || name === "wss" || name === "mutual";
}

/** mosquitto can't be asked which port it got, so ports are found by holding them all for a moment. */
function freeAddresses<Name extends ListenerName>(names: readonly Name[], folder: string): Map<Name, Address> {
  const held: Deno.TcpListener[] = [];
  try {
    return new Map(names.map((name): [Name, Address] => {
      if (name === "unix") return [name, { path: join(folder, "mosquitto.sock") }];
      const listener = Deno.listen({ hostname: LOOPBACK, port: 0 });
      held.push(listener);
      return [name, { port: listener.addr.port }];
    }));
  } finally {
    for (const listener of held) listener.close();
  }
}

function uri(name: ListenerName, address: Address): string {
  if (!("port" in address)) return `unix:${address.path}`;
  const scheme =
    { mqtt: "mqtt", password: "mqtt", mqtts: "mqtts", mutual: "mqtts", ws: "ws", wss: "wss", unix: "unix" }[name];
  return `${scheme}://${LOOPBACK}:${address.port}`;
}

async function newCertificates(folder: string): Promise<Certificates> {
  const path = join(folder, "certificates");
  await Deno.mkdir(path);
  return await makeCertificates(path);
}

async function makePasswordFile(
  folder: string,
  users: Readonly<Record<string, string>> = { user: "password" },
): Promise<string> {
  const path = join(folder, "passwords");
  const program = findProgram("mosquitto_passwd");
  if (program === undefined) throw new Error("Cannot find mosquitto_passwd, which comes with mosquitto");
  await Deno.writeTextFile(path, "", { mode: 0o600 });
  for (const [user, password] of Object.entries(users)) {
    const { success, stderr } = await new Deno.Command(program, { args: ["-b", path, user, password] }).output();
    if (!success) throw new Error(`mosquitto_passwd failed:\n${new TextDecoder().decode(stderr)}`);
  }
  return path;
}
