import {
  isInRange,
  NO_PROPERTIES,
  type Properties,
  propertiesOf,
  type PropertiesOwner,
  type Property,
} from "../properties.ts";
import { PROTOCOL_ERROR, TOPIC_ALIAS_INVALID } from "../reason_codes.ts";
import { topicFault } from "../topic.ts";
import type { Reader } from "./reader.ts";
import type { Writer } from "./writer.ts";

/** Writes the Property Length and those of the properties that the owner may have, by ascending identifier. */
export function writeProperties(writer: Writer, owner: PropertiesOwner, properties: Properties): void {
  if (properties === NO_PROPERTIES) return writer.u8(0);
  const start = writer.position;
  for (const property of propertiesOf(owner)) {
    const value = properties[property.name];
    if (value === undefined) continue;
    if (property.repeats) { for (const one of value as unknown[]) writeProperty(writer, property, one); }
    else writeProperty(writer, property, value);
  }
  writer.prefixLength(start);
}

function writeProperty(writer: Writer, { id, kind }: Property, value: unknown): void {
  writer.u8(id);
  switch (kind) {
    case "bit":
      return writer.u8(value as number);
    case "u16":
      return writer.u16(value as number);
    case "u32":
      return writer.u32(value as number);
    case "variableByteInteger":
      return writer.variableByteInteger(value as number);
    case "string":
    case "topic":
      return writer.string(value as string);
    case "binary":
      return writer.binary(value as Uint8Array);
    case "stringPair":
      for (const text of value as [string, string]) writer.string(text);
  }
}

/** Reads the Property Length and the properties. */
export function readProperties(reader: Reader, owner: PropertiesOwner): Properties {
  const length = reader.variableByteInteger("property length");
  if (length === 0) return NO_PROPERTIES;
  if (length > reader.left) throw reader.fault(`the properties need ${length} bytes, ${reader.left} are left`);
  const endOfPacket = reader.end;
  reader.end = reader.position + length;
  const properties: Properties = {};
  while (reader.left > 0) readProperty(reader, owner, properties as Record<string, unknown>);
  reader.end = endOfPacket;
  if (properties.authenticationData !== undefined && properties.authenticationMethod === undefined) { // §3.1.2.11.10
    throw reader.fault("authenticationData without authenticationMethod", reader.position, PROTOCOL_ERROR);
  }
  return properties;
}

function readProperty(reader: Reader, owner: PropertiesOwner, properties: Record<string, unknown>): void {
  const start = reader.position;
  const id = reader.variableByteInteger("property identifier");
  const property = propertiesOf(owner).find((property) => property.id === id);
  if (property === undefined) throw reader.fault(`the property 0x${id.toString(16)} is not allowed here`, start); // §2.2.2.2
  const { name, repeats } = property;
  const value = readValue(reader, property);
  const earlier = properties[name];
  if (earlier === undefined) properties[name] = repeats ? [value] : value;
  else if (Array.isArray(earlier)) earlier.push(value);
  else throw reader.fault(`a second ${name}`, start, PROTOCOL_ERROR);
}

function readValue(reader: Reader, property: Property): unknown {
  const { name, kind } = property;
  const start = reader.position;
  switch (kind) {
    case "bit":
      return checkRange(reader, property, reader.u8(name), start);
    case "u16":
      return checkRange(reader, property, reader.u16(name), start);
    case "u32":
      return checkRange(reader, property, reader.u32(name), start);
    case "variableByteInteger":
      return checkRange(reader, property, reader.variableByteInteger(name), start);
    case "string":
      return reader.string(name);
    case "topic": {
      const topic = reader.string(name);
      const fault = topicFault(topic);
      if (fault !== undefined) throw reader.fault(`${name}: ${fault}`, start, PROTOCOL_ERROR);
      return topic;
    }
    case "binary":
      return reader.binary(name);
    case "stringPair":
      return [reader.string(name), reader.string(name)];
  }
}

function checkRange(reader: Reader, property: Property, value: number, start: number): number {
  if (isInRange(property, value)) return value;
  const reasonCode = property.name === "topicAlias" ? TOPIC_ALIAS_INVALID : PROTOCOL_ERROR;
  throw reader.fault(`${property.name} is ${value}`, start, reasonCode);
}
