/**
 * Writes what is made of the field table: schema/config.json, which editors take for completion and checks, and the table of the keys
 * in README.md between `<!-- config:begin -->` and `<!-- config:end -->`.
 */
import {
  allowedBy,
  descriptionOf,
  type Field,
  FIELDS,
  type FieldTable,
  type NumberField,
} from "../src/config/fields.ts";
import { withMarked } from "./marked.ts";

type Schema = Record<string, unknown>;

const SCHEMA_URL = new URL("../schema/config.json", import.meta.url);
const README_URL = new URL("../README.md", import.meta.url);
const VARIABLE = { $ref: "#/$defs/variable" };

if (import.meta.main) {
  await Deno.mkdir(new URL(".", SCHEMA_URL), { recursive: true });
  await Deno.writeTextFile(SCHEMA_URL, schemaText());
  await Deno.writeTextFile(README_URL, await withTable(await Deno.readTextFile(README_URL)));
}

/** Gives the text of schema/config.json. */
export function schemaText(): string {
  const schema: Schema = {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "Configuration of the MQTT client @hbmqtt/client",
    description: "Durations are in seconds, sizes in bytes.",
    ...mappingSchema(FIELDS),
    $defs: {
      variable: {
        type: "string",
        pattern: "\\$\\{",
        description: "${NAME} or ${NAME:-default}: the value of an environment variable.",
      },
    },
  };
  return `${JSON.stringify(schema, null, 2)}\n`;
}

function mappingSchema(table: FieldTable): Schema {
  const fields = Object.entries(table);
  const required = fields.filter(([, field]) => field.required).map(([key]) => key);
  const needs = fields.filter(([, field]) => field.needs).map(([key, field]) => [key, [field.needs]]);
  return {
    type: "object",
    properties: Object.fromEntries(fields.map(([key, field]) => [key, fieldSchema(field)])),
    additionalProperties: false,
    ...required.length > 0 && { required },
    ...needs.length > 0 && { dependentRequired: Object.fromEntries(needs) },
  };
}

function fieldSchema(field: Field): Schema {
  const forms = [...formsOf(field)];
  if (field.nullable) forms.push({ type: "null" });
  return {
    description: descriptionOf(field),
    ...forms.length === 1 ? forms[0] : { anyOf: forms },
    ..."default" in field && field.default !== undefined && { default: field.default },
  };
}

/** Gives what a value may be: what the field is for, or an environment variable that stands for it. */
function* formsOf(field: Field): Generator<Schema> {
  switch (field.kind) {
    case "boolean":
      yield { type: "boolean" };
      yield VARIABLE;
      break;
    case "number":
      yield numberSchema(field);
      yield VARIABLE;
      break;
    case "choice":
      yield { enum: field.values };
      yield VARIABLE;
      break;
    case "text":
      yield textSchema(field.format);
      break;
    case "texts":
      if (field.single) yield textSchema(field.format);
      yield { type: "array", items: textSchema(field.format), minItems: 1 };
      break;
    case "bytes":
      yield { type: "string" };
      break;
    case "pairs":
      yield { type: "object", additionalProperties: { type: "string" } };
      yield { type: "array", items: { type: "array", items: { type: "string" }, minItems: 2, maxItems: 2 } };
      break;
    case "mapping":
      yield mappingSchema(field.fields);
      break;
    case "topics":
      yield { type: "object", additionalProperties: mappingSchema(field.fields) };
  }
}

function numberSchema({ whole, min, above, max }: NumberField): Schema {
  return { type: whole ? "integer" : "number", minimum: min, exclusiveMinimum: above, maximum: max };
}

function textSchema(format: string): Schema {
  return format === "string" ? { type: "string" } : { type: "string", minLength: 1 };
}

/** Gives the text of README.md with the table as it should be. */
export function withTable(readme: string): Promise<string> {
  return withMarked(readme, "config", tableText());
}

function tableText(): string {
  const rows = [...tableRows(FIELDS, "")].map((row) => `| ${row.join(" | ")} |`);
  return ["| Key | Value | Default | Meaning |", "| --- | --- | --- | --- |", ...rows].join("\n");
}

function* tableRows(table: FieldTable, prefix: string): Generator<string[]> {
  for (const [key, field] of Object.entries(table)) {
    if (prefix !== "" && FIELDS[key as keyof typeof FIELDS] === field) continue; // it means the same as at the top
    const byDefault = "default" in field && field.default !== undefined ? `\`${field.default}\`` : "";
    yield [`\`${prefix}${key}\``, valueOf(field), byDefault, meaningOf(field)].map((cell) =>
      cell.replaceAll("|", "\\|")
    );
    if (field.kind === "mapping") yield* tableRows(field.fields, `${prefix}${key}.`);
    if (field.kind === "topics") yield* tableRows(field.fields, `${prefix}${key}.<topic>.`);
  }
}

function valueOf(field: Field): string {
  if (field.kind === "choice") return field.values.map((value) => `\`${value}\``).join(", ");
  return allowedBy(field).replace(/ or a Uint8Array,.*|, all of them strings$|, not empty$/, "").replace(/^an? /, "");
}

function meaningOf(field: Field): string {
  const zero = field.kind === "number" && field.zero ? ` 0 ${field.zero}.` : "";
  return field.sentence + zero;
}
