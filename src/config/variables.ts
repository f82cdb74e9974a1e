/** A text with its variables replaced, and what is wrong with them. */
export interface Expansion {
  readonly text: string;
  /** What is wrong with the variables that cannot be replaced. */
  readonly problems: ReadonlySet<string>;
}

/** `$${`, `${NAME}`, `${NAME:-default}`, and `${` as the beginning of anything else. */
const VARIABLE = /\$(\$\{)|\$\{(?:([A-Za-z_]\w*)(?::-((?:(?!\$\{)[^}])*))?\})?/g;

/** Tells whether a text holds what {@linkcode expandVariables} would change. */
export function hasVariables(text: string): boolean {
  return text.includes("${");
}

/**
 * Replaces variables by what the environment has for them: `${NAME}`, and `${NAME:-default}`, which is `default` where `NAME` is unset or
 * empty. `$${` stands for `${`. What the environment gives is taken as it is, whatever it looks like.
 */
export function expandVariables(text: string): Expansion {
  const problems = new Set<string>();
  const expanded = text.replace(VARIABLE, (_, escaped?: string, name?: string, byDefault?: string) => {
    if (escaped !== undefined) return escaped;
    if (name === undefined) {
      problems.add(
        'holds "${" that begins neither ${NAME} nor ${NAME:-default}; $${ stands for the characters themselves',
      );
      return "";
    }
    try {
      const value = Deno.env.get(name);
      if (value === undefined && byDefault === undefined) {
        problems.add(`the environment variable ${name} is not set; \${${name}:-default} would give a default`);
      }
      return value || (byDefault ?? "");
    } catch (error) {
      if (!(error instanceof Deno.errors.NotCapable)) throw error;
      problems.add(`cannot read the environment variable ${name}: run with --allow-env=${name}`);
      return "";
    }
  });
  return { text: expanded, problems };
}
