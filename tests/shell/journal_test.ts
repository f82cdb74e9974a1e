import { assert, assertEquals } from "@std/assert";
import type { PublishFlow } from "../../src/session/flow.ts";
import { Journal } from "../../src/shell/journal.ts";
import type { SessionChanges } from "../../src/store/session_store.ts";
import type { StoredSession } from "../../src/stored_session.ts";
import { acknowledgement, Recorder, suback, unsuback } from "../session/recorder.ts";
import { publish, subscription } from "../store/changes.ts";

const EMPTY: StoredSession = { publishes: [], received: [], subscriptions: [], lastPacketId: 0 };

/** A connected session, and the journal of what the test says has changed in it. */
function begin(
  stored: StoredSession = EMPTY,
  clockOrigin = 0,
): { it: Recorder; journal: Journal; flows: PublishFlow[] } {
  const it = new Recorder();
  const flows = it.session.restore(stored, false, clockOrigin);
  const journal = new Journal(it.session, stored, clockOrigin);
  it.connect(true);
  return { it, journal, flows };
}

/** Takes what has changed, without what has not. */
function take(journal: Journal): Partial<SessionChanges> | undefined {
  const changes = journal.take();
  if (changes === undefined) return undefined;
  return Object.fromEntries(Object.entries(changes).filter(([, list]) => !Array.isArray(list) || list.length > 0));
}

function ids(journal: Journal): number[] {
  return (journal.take()?.added ?? []).map(({ id }) => id);
}

Deno.test("Journal.take() gives nothing when nothing has changed", () => {
  const { journal } = begin();
  assertEquals(journal.take(), undefined);
  journal.written();
  assertEquals(journal.failed(), { unstored: [], concernsMore: false });
});

Deno.test("Journal.take() gives a publish as it is, then how far it has come, then its end", () => {
  const { it, journal } = begin();
  const { flow } = it.publish("t", 2, "x");
  journal.publishChanged(flow);
  const payload = new TextEncoder().encode("x");
  assertEquals(take(journal), {
    added: [{
      id: 1,
      packetId: 1,
      state: "published",
      sequence: 1,
      topic: "t",
      payload,
      qos: 2,
      retain: false,
      properties: {},
    }],
    lastPacketId: 1,
  });
  journal.written();
  it.receive(acknowledgement("PUBREC", 1));
  journal.publishChanged(flow);
  assertEquals(take(journal), { updated: [{ id: 1, packetId: 1, state: "released", sequence: 2 }] });
  journal.written();
  journal.publishChanged(flow);
  assertEquals(take(journal), undefined);
  it.receive(acknowledgement("PUBCOMP", 1));
  journal.publishChanged(flow);
  assertEquals(take(journal), { removed: [1] });
  journal.written();
  journal.publishChanged(flow);
  assertEquals(take(journal), undefined);
});

Deno.test("Journal.take() leaves out a publish that is settled when it is asked", () => {
  const { it, journal } = begin();
  const { flow } = it.publish("t", 1);
  journal.publishChanged(flow);
  it.receive(acknowledgement("PUBACK", 1));
  journal.publishChanged(flow);
  assertEquals(take(journal), { lastPacketId: 1 });
});

Deno.test("Journal.take() removes a publish that is settled while it is written", () => {
  const { it, journal } = begin();
  const { flow } = it.publish("t", 1);
  journal.publishChanged(flow);
  journal.take();
  it.receive(acknowledgement("PUBACK", 1));
  journal.publishChanged(flow);
  journal.written();
  assertEquals(take(journal), { removed: [1] });
});

Deno.test("Journal.take() gives a sequence that has changed alone", () => {
  const { it, journal, flows: [flow] } = begin({ ...EMPTY, publishes: [publish(1)], lastPacketId: 1 });
  flow.sequence = 7;
  journal.publishChanged(flow);
  assertEquals(take(journal), { updated: [{ id: 1, packetId: 1, state: "published", sequence: 7 }] });
  it.lose();
});

Deno.test("Journal.take() counts on from the last id, and gives the time of expiry by the clock of the day", () => {
  const { it, journal } = begin({ ...EMPTY, publishes: [publish(9)], lastPacketId: 9 }, 1_000_000);
  const { flow } = it.publish("t", 1);
  flow.expiresAt = 2.5;
  journal.publishChanged(flow);
  const [{ id, packetId, expiresAt }] = journal.take()?.added ?? [];
  assertEquals([id, packetId, expiresAt], [10, 10, 1_000_002_500]);
});

Deno.test("Journal.take() gives received identifiers and their end, each once", () => {
  const { journal } = begin({ ...EMPTY, received: [1, 2] });
  journal.received(1);
  journal.completed(2);
  journal.received(3);
  journal.received(4);
  journal.completed(4);
  journal.completed(5);
  assertEquals(take(journal), { completed: [2], received: [3] });
  journal.written();
  journal.completed(3);
  journal.received(2);
  assertEquals(take(journal), { completed: [3], received: [2] });
});

Deno.test("Journal.take() gives subscriptions in groups that count on, and their end", () => {
  const { it, journal } = begin({ ...EMPTY, subscriptions: [subscription("old", 4)] });
  const subscribe = (packetId: number, ...filters: string[]) => {
    it.subscribe(...filters);
    it.receive(suback(packetId, ...filters.map(() => 0)));
    for (const filter of filters) journal.subscriptionChanged(filter);
  };
  journal.subscriptionChanged("old");
  assertEquals(take(journal), undefined);
  subscribe(1, "a", "b");
  subscribe(2, "c");
  const groups = (changes: SessionChanges | undefined) =>
    changes?.subscribed.map(({ request, group }) => [request.topicFilter, group]);
  assertEquals(groups(journal.take()), [["a", 5], ["b", 5], ["c", 6]]);
  journal.written();
  it.unsubscribe("a", "old");
  it.receive(unsuback(3));
  subscribe(4, "b");
  for (const filter of ["a", "old", "c"]) journal.subscriptionChanged(filter);
  const changes = journal.take();
  assertEquals([changes?.unsubscribed, groups(changes)], [["a", "old"], [["b", 7]]]);
});

Deno.test("Journal.forget() lets nothing come back that was noted, is being written, or was stored", () => {
  const { journal } = begin({ ...EMPTY, received: [1], subscriptions: [subscription("a", 1)] });
  journal.received(2);
  journal.take();
  journal.received(3);
  journal.forget("received");
  journal.forget("subscriptions");
  journal.written();
  for (const packetId of [1, 2]) journal.received(packetId);
  journal.completed(3);
  journal.subscriptionChanged("a");
  const changes = take(journal);
  assertEquals([changes?.forgotten, changes?.completed, changes?.received], [
    ["received", "subscriptions"],
    undefined,
    [1, 2],
  ]);
  assertEquals(changes?.subscribed?.length, 1);
});

Deno.test("Journal.failed() does not bring back what is forgotten since", () => {
  const { journal } = begin({ ...EMPTY, received: [1] });
  journal.received(2);
  journal.take();
  journal.forget("received");
  journal.failed();
  assertEquals(take(journal), { forgotten: ["received"], lastPacketId: 0 });
});

Deno.test("Journal.failed() tells which publishes are not stored, and keeps the rest for the next write", () => {
  const { it, journal, flows: [old, settled] } = begin({
    ...EMPTY,
    publishes: [publish(1, { qos: 2 }), publish(2)],
    received: [7],
    lastPacketId: 2,
  });
  const { flow } = it.publish("t", 1);
  it.receive(acknowledgement("PUBREC", 1));
  it.receive(acknowledgement("PUBACK", 2));
  for (const changed of [old, settled, flow]) journal.publishChanged(changed);
  journal.received(8);
  journal.completed(7);
  const first = take(journal);
  assertEquals(first?.removed, [2]);
  assertEquals(journal.failed(), { unstored: [flow], concernsMore: true });
  const { added: _, ...rest } = first ?? {};
  assertEquals(take(journal), rest);
});

Deno.test("Journal.failed() says that nothing depends on what is only removed", () => {
  const { it, journal, flows: [flow] } = begin({ ...EMPTY, publishes: [publish(1)], lastPacketId: 1 });
  it.receive(acknowledgement("PUBACK", 1));
  journal.publishChanged(flow);
  journal.take();
  assertEquals(journal.failed(), { unstored: [], concernsMore: false });
  assertEquals(take(journal), { removed: [1], lastPacketId: 1 });
});

Deno.test("Journal.failed() says that PUBCOMP depends on the end of a received message", () => {
  const { journal } = begin({ ...EMPTY, received: [7] });
  journal.completed(7);
  journal.take();
  assertEquals(journal.failed(), { unstored: [], concernsMore: true });
  assertEquals(take(journal), { completed: [7], lastPacketId: 0 });
});

Deno.test("Journal.failed() keeps for the next write, in order, what the client has left when it ended", () => {
  const { it, journal } = begin();
  const first = it.publish("a", 1).flow, second = it.publish("b", 1).flow;
  journal.publishChanged(first);
  journal.take();
  journal.publishChanged(second);
  it.session.end(new Error("the end"));
  assertEquals(journal.failed().unstored, []);
  assertEquals(take(journal)?.added?.map(({ topic }) => topic), ["a", "b"]);
});

Deno.test("Journal.failed() says that a new session depends on the old one's being forgotten", () => {
  const { journal } = begin();
  journal.forget("received");
  journal.take();
  assert(journal.failed().concernsMore);
});

Deno.test("Journal gives no id twice, though a write failed", () => {
  const { it, journal } = begin();
  const first = it.publish("a", 1).flow, second = it.publish("b", 1).flow;
  journal.publishChanged(first);
  assertEquals(ids(journal), [1]);
  journal.failed();
  journal.publishChanged(second);
  assertEquals(ids(journal), [2]);
});
