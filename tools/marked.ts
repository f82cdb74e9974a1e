/** Gives Markdown in which the text between `<!-- NAME:begin -->` and `<!-- NAME:end -->` is another one. */
export async function withMarked(text: string, name: string, inner: string): Promise<string> {
  const parts = new RegExp(`^(.*<!-- ${name}:begin -->\n)(?:.*\n)?(<!-- ${name}:end -->.*)$`, "s").exec(text);
  if (parts === null) throw new Error(`The text has no <!-- ${name}:begin --> and <!-- ${name}:end -->`);
  return `${parts[1]}\n${await formatted(inner)}\n${parts[2]}`;
}

/** Writes Markdown as `deno fmt` wants it. */
async function formatted(markdown: string): Promise<string> {
  const command = new Deno.Command(Deno.execPath(), {
    args: ["fmt", "--ext=md", "--line-width=120", "-"],
    stdin: "piped",
    stdout: "piped",
  });
  const process = command.spawn();
  const writer = process.stdin.getWriter();
  await writer.write(new TextEncoder().encode(markdown));
  await writer.close();
  const { success, stdout } = await process.output();
  if (!success) throw new Error("deno fmt failed");
  return new TextDecoder().decode(stdout);
}
