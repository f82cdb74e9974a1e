import { fileURLToPath } from "node:url";
import { stdFlags } from "../../tools/std.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

const flags = await stdFlags();

/** How a program ended and what it printed. */
export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program of this repository in a Deno of its own, with these permissions and no others. */
export async function runChild(path: string, permissions: readonly string[], ...args: string[]): Promise<Outcome> {
  const { code, stdout, stderr } = await command(path, permissions, args, { stdin: "null", stderr: "piped" }).output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

/** Starts such a program; what it reports goes where this process reports. */
export function startChild(path: string, permissions: readonly string[], ...args: string[]): Child {
  return new Child(command(path, permissions, args, { stdin: "piped" }).spawn());
}

function command(
  path: string,
  permissions: readonly string[],
  args: readonly string[],
  options: Deno.CommandOptions,
): Deno.Command {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-prompt", "--no-check", "--cached-only", ...flags, ...permissions, path, ...args],
    cwd: ROOT,
    stdout: "piped",
    ...options,
  });
}

/** A program that runs; disposing of it kills it. */
export class Child implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #lines: AsyncGenerator<string, undefined>;

  constructor(process: Deno.ChildProcess) {
    this.#process = process;
    this.#lines = linesOf(process.stdout);
  }

  get pid(): number {
    return this.#process.pid;
  }

  /** How it has ended. */
  get status(): Promise<Deno.CommandStatus> {
    return this.#process.status;
  }

  /** Gives the next line that it prints, `undefined` at the end. */
  async line(): Promise<string | undefined> {
    return (await this.#lines.next()).value;
  }

  /** Waits for a line. */
  async printed(text: string): Promise<void> {
    for (let line = await this.line(); line !== text; line = await this.line()) {
      if (line === undefined) throw new Error(`The program ended without "${text}"`);
    }
  }

  /** Kills it by SIGKILL, and gives the lines that it has printed and nobody has read. */
  async kill(): Promise<string[]> {
    try {
      this.#process.kill("SIGKILL");
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // it has ended
    }
    const rest = await Array.fromAsync(this.#lines);
    await this.status;
    await this.#process.stdin.close().catch(() => {});
    return rest;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }
}

/** Gives whole lines: one that was cut off by the end is none. */
async function* linesOf(stream: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<string, undefined> {
  let text = "";
  for await (const chunk of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (text + chunk).split("\n");
    text = lines.pop() ?? "";
    yield* lines;
  }
}
