import { type Child, type Outcome, runChild, startChild } from "./child.ts";

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
