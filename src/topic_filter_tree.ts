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
    const levels = levelsOf(topicFilter);
    const path = [this.#root];
    for (const [depth, level] of levels.entries()) {
      const child = path[depth].children.get(level);
      if (child === undefined) return;
      path.push(child);
    }
    path[levels.length].values.delete(value);
    for (let depth = levels.length; depth > 0 && path[depth].isEmpty; depth--) {
      path[depth - 1].children.delete(levels[depth - 1]);
    }
  }

  clear(): void {
    this.#root.children.clear();
  }

  /** Gives the values of the filters that match a topic name. */
  match(topic: string): Value[] {
    const found: Value[] = [];
    const levels = topic.split("/");
    const branches: Branch<Value>[] = [];
    let node = this.#root, depth = 0;
    for (;;) {
      const { children, values } = node;
      const isEnd = depth === levels.length;
      const takesWildcards = depth > 0 || !levels[0].startsWith("$"); // [MQTT-4.7.2-1]
      const rest = takesWildcards ? children.get("#") : undefined;
      if (rest !== undefined) addAll(found, rest.values);
      if (isEnd) addAll(found, values);
      const same = isEnd ? undefined : children.get(levels[depth]);
      const any = isEnd || !takesWildcards ? undefined : children.get("+");
      depth++;
      if (same !== undefined && any !== undefined) branches.push({ node: any, depth });
      const next = same ?? any;
      if (next !== undefined) {
        node = next;
        continue;
      }
      const branch = branches.pop();
      if (branch === undefined) return found;
      ({ node, depth } = branch);
    }
  }
}

/** Where else the search is to go on. */
interface Branch<Value> {
  readonly node: Node<Value>;
  /** How many levels of the topic lead there. */
  readonly depth: number;
}

/** By a loop, which is quicker than to spread a set. */
function addAll<Value>(found: Value[], values: Iterable<Value>): void {
  for (const value of values) found.push(value);
}

function levelsOf(topicFilter: string): string[] {
  return filterOfShare(topicFilter).split("/");
}
