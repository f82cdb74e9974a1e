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
  const { code, stdout, stderr } = await command(path, permissions, args).output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

/** Starts such a program. */
export function startChild(path: string, permissions: readonly string[], ...args: string[]): Child {
  return new Child(command(path, permissions, args).spawn());
}

/** Runs an example with exactly the permissions that the comment at its top names, for another broker and, as first of `args`, another database. */
export async function runExample(name: string, uri: string, ...args: string[]): Promise<Outcome> {
  const path = `examples/${name}.ts`;
  const flags = await permissions(path, new URL(uri).host);
  return await runChild(path, flags.map((flag) => flag.replace(/=\w+\.db$/, `=${args[0]}`)), uri, ...args);
}

/** Starts an example likewise, and waits until it says that it is ready. */
export async function startExample(name: string, uri: string, ...args: string[]): Promise<Child> {
  const path = `examples/${name}.ts`;
  const child = startChild(path, await permissions(path, new URL(uri).host), uri, ...args);
  await child.printed("ready");
  return child;
}

async function permissions(path: string, host: string): Promise<string[]> {
  const source = await Deno.readTextFile(new URL(`../../${path}`, import.meta.url));
  const command = new RegExp(`^//   deno run (.*) ${path} mqtt://localhost:1883$`, "m").exec(source);
  if (command === null) throw new Error(`${path} does not say how it is run`);
  return command[1].replaceAll("localhost:1883", host).split(" ");
}

function command(path: string, permissions: readonly string[], args: readonly string[]): Deno.Command {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-prompt", "--cached-only", ...flags, ...permissions, path, ...args],
    cwd: ROOT,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  });
}

/** A program that runs; disposing it kills it. */
export class Child implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #stdout: AsyncIterator<string>;
  readonly #stderr: Promise<string>;

  constructor(process: Deno.ChildProcess) {
    this.#process = process;
    this.#stdout = process.stdout.pipeThrough(new TextDecoderStream())[Symbol.asyncIterator]();
    this.#stderr = new Response(process.stderr).text();
  }

  get pid(): number {
    return this.#process.pid;
  }

  /** Waits for a text on the standard output. */
  async printed(text: string): Promise<void> {
    for (let stdout = ""; !stdout.includes(text);) {
      const { done, value } = await this.#stdout.next();
      if (done) throw new Error(`The program ended without "${text}": ${stdout}${await this.#stderr}`);
      stdout += value;
    }
  }

  /** Ends the process where it runs, and gives its exit code. */
  async kill(signal: Deno.Signal = "SIGKILL"): Promise<number> {
    try {
      this.#process.kill(signal);
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // It has ended.
    }
    return await this.ended();
  }

  /** Waits for the end, and gives the exit code. */
  async ended(): Promise<number> {
    while (!(await this.#stdout.next()).done);
    await this.#stderr;
    return (await this.#process.status).code;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }
}
