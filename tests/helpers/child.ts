import { fileURLToPath } from "node:url";
import { stdFlags } from "../../tools/std.ts";

const flags = await stdFlags();

/** A program that runs in a Deno of its own; disposing of it kills it. */
export interface Child extends AsyncDisposable {
  /** How it has ended. */
  readonly status: Promise<Deno.CommandStatus>;
  /** The next line that it prints, `undefined` at the end. */
  line(): Promise<string | undefined>;
  /** Kills it by SIGKILL and gives the lines that it has printed and nobody has read. */
  kill(): Promise<string[]>;
}

/** Starts a program, which may do everything. */
export function startChild(program: URL, ...args: string[]): Child {
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "--quiet", "--no-prompt", "--no-check", "--cached-only", ...flags, "-A"],
      fileURLToPath(program),
      ...args,
    ],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const lines = linesOf(child.stdout);
  const line = async () => (await lines.next()).value ?? undefined;
  const kill = async () => {
    try {
      child.kill("SIGKILL");
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // it has ended
    }
    const rest = await Array.fromAsync(lines);
    await child.status;
    await child.stdin.close().catch(() => {});
    return rest;
  };
  return { status: child.status, line, kill, [Symbol.asyncDispose]: async () => void await kill() };
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
