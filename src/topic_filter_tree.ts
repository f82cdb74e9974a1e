import { filterOfShare } from "./topic.ts";

/** A level of the filters that begin with the same levels. */
class Node<Value> {
  readonly children = new Map<string, Node<Value>>();
  readonly values = new Set<Value>();

  get isEmpty(): boolean {
    return this.children.size === 0 && this.values.size === 0;
  }
}

/** Values by topic filter, found by the topic names that the filters match (§4.7): the work does not grow with the number of filters. */
export class TopicFilterTree<Value> {
  readonly #root = new Node<Value>();

  add(topicFilter: string, value: Value): void {
    let node = this.#root;
    for (const level of levelsOf(topicFilter)) {
      let child = node.children.get(level);
      if (child === undefined) node.children.set(level, child = new Node());
      node = child;
    }
    node.values.add(value);
  }

  remove(topicFilter: string, value: Value): void {
    remove(this.#root, levelsOf(topicFilter), 0, value);
  }

  clear(): void {
    this.#root.children.clear();
  }

  /** Gives the values of the filters that match a topic name. */
  match(topic: string): Value[] {
    const found: Value[] = [];
    collect(this.#root, topic.split("/"), 0, found);
    return found;
  }
}

function levelsOf(topicFilter: string): string[] {
  return filterOfShare(topicFilter).split("/");
}

function remove<Value>(node: Node<Value>, levels: readonly string[], depth: number, value: Value): void {
  if (depth === levels.length) {
    node.values.delete(value);
    return;
  }
  const child = node.children.get(levels[depth]);
  if (child === undefined) return;
  remove(child, levels, depth + 1, value);
  if (child.isEmpty) node.children.delete(levels[depth]);
}

function collect<Value>(node: Node<Value>, levels: readonly string[], depth: number, found: Value[]): void {
  const { children } = node;
  const takesWildcards = depth > 0 || !levels[0].startsWith("$"); // [MQTT-4.7.2-1]
  const rest = takesWildcards ? children.get("#") : undefined;
  if (rest !== undefined) found.push(...rest.values);
  if (depth === levels.length) {
    found.push(...node.values);
    return;
  }
  const same = children.get(levels[depth]);
  if (same !== undefined) collect(same, levels, depth + 1, found);
  const any = takesWildcards ? children.get("+") : undefined;
  if (any !== undefined) collect(any, levels, depth + 1, found);
}
