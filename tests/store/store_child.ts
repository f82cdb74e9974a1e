import { fileURLToPath } from "node:url";

const PROGRAM = fileURLToPath(new URL("store_process.ts", import.meta.url));

/** A running store_process.ts; disposing of it kills it. */
export interface StoreChild extends AsyncDisposable {
  /** The next line that it prints, `undefined` at the end. */
  line(): Promise<string | undefined>;
  /** Kills it by SIGKILL and gives the lines that it has printed and nobody has read. */
  kill(): Promise<string[]>;
}

/** Starts store_process.ts. */
export function startStoreChild(...args: string[]): StoreChild {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-prompt", "--cached-only", "-A", PROGRAM, ...args],
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
  return { line, kill, [Symbol.asyncDispose]: async () => void await kill() };
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
