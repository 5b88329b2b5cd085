/** Each event has the type of its payload, and each method its own: `tsc` checks this file. */

import * as undici from "undici";
import { WebSocket } from "ws";

import { ChatClient, ChatError, chatIdOf } from "../../../page/protocol.js";
import type { Ack, OutboxItem, StateName } from "../../../page/protocol.js";

const client = new ChatClient({ url: "wss://example.com/prod", userId: "user123", WebSocket });
new ChatClient({ url: "wss://example.com/prod", WebSocket: undici.WebSocket, token: async () => "" });
// @ts-expect-error: there is no client without a URL
new ChatClient({ userId: "user123" });

client.addEventListener("state", ({ detail }) => {
  const name: StateName = detail.name;
  const retryAt: number | undefined = detail.retryAt;
  // @ts-expect-error: no such state
  if (detail.name === "online") return [name, retryAt];
});
client.addEventListener("message", ({ detail }) => {
  const text: string | undefined = detail.text;
  const timestamp: number = detail.timestamp;
  // @ts-expect-error: no such field
  return [text, timestamp, detail.body];
});
client.addEventListener("outbox", ({ detail }) => {
  const item: OutboxItem = detail;
  const status: "queued" | "refused" = detail.status;
  return [item, status];
});
client.addEventListener("ack", ({ detail }) => {
  const ack: Ack = detail.ack;
  const id: string = detail.item.clientMessageId;
  // @ts-expect-error: it may be missing
  const delivered: number = detail.ack.delivered;
  return [ack, id, delivered];
});
client.addEventListener("synced", ({ detail }) => {
  const times: [number, number] = [detail.until, detail.newMessages];
  return times;
});
client.addEventListener("receipt", ({ detail }) => {
  const times: (number | undefined)[] = [detail.read, detail.received];
  return times;
}, { once: true });
client.addEventListener("typing", ({ detail }) => {
  const ids: [string, string] = [detail.chatId, detail.userId];
  // @ts-expect-error: no such field
  return [ids, detail.text];
});
client.addEventListener("error", ({ detail }) => {
  const error: ChatError = detail;
  return error.code;
});
// @ts-expect-error: no such event
client.addEventListener("messages", () => {});

const chatId = chatIdOf("user123", "user456");
const item = client.send({ chatId, text: "Hello!" });
const created: number = item.createdAt;
const ack: Promise<Ack> = item.ack;
const key: Promise<string> = client.upload(chatId, new File(["x"], "x.txt"));
const link: Promise<string> = client.downloadLink(chatId, "k").then(({ fileUrl }) => fileUrl);
// @ts-expect-error: a message has a chat
client.send({ text: "Hello!" });
// @ts-expect-error: an upload has a name
client.upload(chatId, new Blob([]));
export default [created, ack, key, link];
