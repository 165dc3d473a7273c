// Clients for node: OpenAI's library and its Realtime, the Agents SDK by voice over WebSocket, the Vercel AI SDK.
import OpenAI from "openai";
import { OpenAIRealtimeWS } from "openai/realtime/ws";
import { RealtimeAgent, RealtimeSession, OpenAIRealtimeWebSocket } from "@openai/agents-realtime";
import { generateText, streamText } from "ai";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";

const base = process.argv[2];
const key = "none";
// OpenAI's own Realtime client takes no address but wss://.
const secure = process.argv[3] ?? base;
const realtime = base.replace(/^http/, "ws") + "/realtime";

function tone(seconds, level = 0.4) {
  const out = Buffer.alloc(Math.round(seconds * 24000) * 2);
  for (let n = 0; n < out.length / 2; n++)
    out.writeInt16LE(Math.round(level * 32767 * Math.sin((2 * Math.PI * 500 * n) / 24000)), 2 * n);
  return out;
}

async function trial(client, what, run) {
  let why = null;
  try {
    process.once("unhandledRejection", (error) => { why = String(error.message ?? JSON.stringify(error)); });
    const late = new Promise((_, no) => setTimeout(() => no(new Error("timeout")), 40000));
    const result = await Promise.race([run(), late]);
    if (!result) why = `gave ${result}`;
  } catch (error) {
    why = `${error.name}: ${error.message ?? JSON.stringify(error)}`.slice(0, 300);
  }
  console.log(JSON.stringify({ client, what, why }));
}

const openai = new OpenAI({ baseURL: base, apiKey: key, maxRetries: 0 });
const messages = [{ role: "user", content: "Hi" }];
await trial("openai (npm)", "chat", async () =>
  (await openai.chat.completions.create({ model: "gpt-4o", messages })).choices[0].message.content);
await trial("openai (npm)", "responses", async () =>
  (await openai.responses.create({ model: "gpt-5", input: "Hi" })).output_text);
await trial("openai (npm)", "realtime", () => new Promise((yes, no) => {
  const line = new OpenAIRealtimeWS({ model: "gpt-realtime" }, new OpenAI({ baseURL: secure, apiKey: key }));
  line.on("error", no);
  line.on("session.created", () => {
    line.send({ type: "session.update", session: { type: "realtime", output_modalities: ["text"] } });
    const content = [{ type: "input_text", text: "Hi" }];
    line.send({ type: "conversation.item.create", item: { type: "message", role: "user", content } });
    line.send({ type: "response.create" });
  });
  line.on("response.output_text.done", (event) => { line.close(); yes(event.text); });
}));

await trial("@openai/agents-realtime", "WebSocket, spoken", async () => {
  const session = new RealtimeSession(new RealtimeAgent({ name: "A", instructions: "Be brief." }), {
    transport: new OpenAIRealtimeWebSocket({ url: `${realtime}?model=gpt-realtime`, useInsecureApiKey: true }),
    tracingDisabled: true,
  });
  const heard = new Promise((yes, no) => {
    session.on("audio", () => yes(true));
    session.on("error", (event) => no(new Error(JSON.stringify(event.error ?? event))));
  });
  await session.connect({ apiKey: key });
  const data = Buffer.concat([tone(1.0), tone(2.0, 0)]);
  for (let at = 0; at < data.length; at += 960) {
    const part = data.subarray(at, at + 960);
    session.sendAudio(part.buffer.slice(part.byteOffset, part.byteOffset + part.length));
    await new Promise((go) => setTimeout(go, 20));
  }
  try { return await heard; } finally { session.close(); }
});

const compatible = createOpenAICompatible({ name: "here", baseURL: base, apiKey: key });
const provider = createOpenAI({ baseURL: base, apiKey: key });
await trial("Vercel AI SDK", "generateText", async () =>
  (await generateText({ model: compatible("gpt-4o"), prompt: "Hi" })).text);
await trial("Vercel AI SDK", "streamText", async () =>
  await streamText({ model: compatible("gpt-4o"), prompt: "Hi" }).text);
await trial("Vercel AI SDK", "responses", async () =>
  (await generateText({ model: provider("gpt-5"), prompt: "Hi" })).text);
process.exit(0);
