const MAXIMUM_LENGTH = 65_535;
const HASH = 0x23, PLUS = 0x2b, SLASH = 0x2f, DOLLAR = 0x24;
const SHARE = "$share/";

/**
 * Gives the length of a string in UTF-8.
 *
 * @returns bytes, or -1 for a string that UTF-8 cannot express (a lone surrogate)
 */
export function utf8Length(text: string): number {
  let length = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) continue;
    if (unit < 0x800) length++;
    else if (unit < 0xd800 || unit > 0xdfff) length += 2;
    else if (unit < 0xdc00 && isLowSurrogate(text.charCodeAt(i + 1))) {
      length += 2;
      i++;
    } else return -1;
  }
  return length;
}

function isLowSurrogate(unit: number): boolean {
  return unit >= 0xdc00 && unit <= 0xdfff;
}

/** Says why a string cannot be sent as a UTF-8 Encoded String (§1.5.3), `undefined` when it can. */
export function stringFault(text: string): string | undefined {
  if (text.includes("\0")) return "U+0000 is not allowed"; // [MQTT-1.5.3-2]
  return binaryFault(text);
}

/** Says why bytes, or a string as UTF-8, cannot be sent as Binary Data (MQTT 5.0, §1.5.6), `undefined` when they can. */
export function binaryFault(data: Uint8Array | string): string | undefined {
  const length = typeof data === "string" ? utf8Length(data) : data.length;
  if (length < 0) return "it holds a lone surrogate, which UTF-8 cannot express"; // [MQTT-1.5.3-1]
  if (length > MAXIMUM_LENGTH) return `it is ${length} bytes long, ${MAXIMUM_LENGTH} are allowed`;
}

/** Says why a topic name cannot be published to (§4.7), `undefined` when it can. */
export function topicFault(topic: string): string | undefined {
  if (topic.length === 0) return "topic names must not be empty"; // [MQTT-4.7.3-1]
  let ascii = true;
  for (let i = 0; i < topic.length; i++) {
    const unit = topic.charCodeAt(i);
    if (unit === HASH || unit === PLUS) return "topic names must not contain wildcards"; // [MQTT-3.3.2-2]
    if (unit === 0) return "topic names must not contain U+0000"; // [MQTT-4.7.3-2]
    if (unit >= 0x80) ascii = false;
  }
  if (!ascii || topic.length > MAXIMUM_LENGTH) return stringFault(topic);
}

/** Says why a topic filter cannot be subscribed to (§4.7.1), `undefined` when it can. */
export function topicFilterFault(topicFilter: string): string | undefined {
  if (topicFilter.length === 0) return "topic filters must not be empty"; // [MQTT-4.7.3-1]
  const fault = stringFault(topicFilter);
  if (fault !== undefined) return fault;
  if (topicFilter.startsWith(SHARE)) { // [MQTT5-4.8.2-1], [MQTT5-4.8.2-2]
    const [shareName] = topicFilter.slice(SHARE.length).split("/", 1);
    if (shareName === "" || /[+#]/.test(shareName)) return "the share name must be one level without wildcards";
    if (topicFilter.length <= SHARE.length + shareName.length + 1) return "a topic filter must follow the share name";
  }
  const levels = topicFilter.split("/");
  for (const [i, level] of levels.entries()) {
    if (level.length > 1 && /[+#]/.test(level)) return "a wildcard must be a whole level"; // [MQTT-4.7.1-3]
    if (level === "#" && i < levels.length - 1) return "# must be the last level"; // [MQTT-4.7.1-2]
  }
}

/** Gives the filter that a shared subscription (`$share/group/filter`) applies, other filters as they are. */
export function filterOfShare(topicFilter: string): string {
  if (!topicFilter.startsWith(SHARE)) return topicFilter;
  const slash = topicFilter.indexOf("/", SHARE.length);
  return slash < 0 ? topicFilter : topicFilter.slice(slash + 1);
}

/**
 * Tells whether a topic filter matches a topic name.
 *
 * `+` matches one level, `#` any number of levels and the level above it; neither matches a first level that
 * starts with `$`. The `$share/group/` of a shared subscription is not compared.
 *
 * ```ts
 * import { matchTopic } from "@hbmqtt/client";
 * import { assert } from "@std/assert";
 *
 * assert(matchTopic("home/+/temperature", "home/kitchen/temperature"));
 * assert(matchTopic("home/#", "home"));
 * assert(!matchTopic("#", "$SYS/broker/uptime"));
 * ```
 *
 * @param filter a topic filter, well-formed
 * @param topic a topic name
 * @see MQTT 3.1.1, §4.7
 */
export function matchTopic(filter: string, topic: string): boolean {
  filter = filterOfShare(filter);
  if (filter.length === 0 || topic.length === 0) return false;
  const first = filter.charCodeAt(0);
  if (topic.charCodeAt(0) === DOLLAR && (first === PLUS || first === HASH)) return false; // [MQTT-4.7.2-1]
  let t = 0; // the next character of the topic; one past its end: the last level is used up
  for (let f = 0; f < filter.length; f++) {
    const unit = filter.charCodeAt(f);
    if (unit === HASH) return true;
    if (unit === PLUS) {
      while (t < topic.length && topic.charCodeAt(t) !== SLASH) t++;
    } else if (t < topic.length && topic.charCodeAt(t) === unit) t++;
    else return t === topic.length && unit === SLASH && f === filter.length - 2 && filter.charCodeAt(f + 1) === HASH;
  }
  return t === topic.length;
}
