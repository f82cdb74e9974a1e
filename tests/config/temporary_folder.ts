import { join } from "node:path";

/** A folder of a test's own. Disposing it removes it. */
export class TemporaryFolder implements AsyncDisposable {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  /** Writes a file, and gives its path. */
  async write(name: string, content: string | Uint8Array): Promise<string> {
    const path = join(this.path, name);
    await (typeof content === "string" ? Deno.writeTextFile(path, content) : Deno.writeFile(path, content));
    return path;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.path, { recursive: true });
  }
}

export async function temporaryFolder(): Promise<TemporaryFolder> {
  return new TemporaryFolder(await Deno.makeTempDir({ prefix: "config-" }));
}
