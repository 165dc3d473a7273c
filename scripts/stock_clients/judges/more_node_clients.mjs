// More clients for node: LangChain.js, the AI SDK's sound and its Realtime, Mastra's voices, LlamaIndex.TS.
import { Readable } from "node:stream";
import * as ai from "ai";
import { createOpenAI } from "@ai-sdk/openai";
import { ChatOpenAI } from "@langchain/openai";
import { OpenAI as LlamaOpenAI, OpenAIResponses } from "@llamaindex/openai";
import { OpenAIVoice } from "@mastra/voice-openai";
import { OpenAIRealtimeVoice } from "@mastra/voice-openai-realtime";
import WebSocket from "ws";
import { z } from "zod";

const base = process.argv[2];
const key = "none";
process.env.OPENAI_BASE_URL = base;
process.env.OPENAI_API_KEY = key;
globalThis.WebSocket ??= WebSocket;
globalThis.AI_SDK_LOG_WARNINGS = false;
const Person = z.object({ name: z.string(), age: z.number() });
const RATE = 24000;

function tone(seconds, level = 0.4) {
  const out = Buffer.alloc(Math.round(seconds * RATE) * 2);
  for (let n = 0; n < out.length / 2; n++)
    out.writeInt16LE(Math.round(level * 32767 * Math.sin((2 * Math.PI * 500 * n) / RATE)), 2 * n);
  return out;
}

function wav(seconds = 0.5) {
  const data = tone(seconds), head = Buffer.alloc(44);
  head.write("RIFF");
  head.writeUInt32LE(36 + data.length, 4);
  head.write("WAVEfmt ", 8);
  [16, RATE, 2 * RATE].forEach((value, n) => head.writeUInt32LE(value, [16, 24, 28][n]));
  [1, 1, 2, 16].forEach((value, n) => head.writeUInt16LE(value, [20, 22, 32, 34][n]));
  head.write("data", 36);
  head.writeUInt32LE(data.length, 40);
  return Buffer.concat([head, data]);
}

async function trial(client, what, run) {
  let why = null;
  try {
    const late = new Promise((_, no) => setTimeout(() => no(new Error("timeout")), 40000));
    const result = await Promise.race([run(), late]);
    if (!result || result.length === 0) why = `gave ${result}`;
  } catch (error) {
    why = `${error.name}: ${error.message ?? JSON.stringify(error)}`.slice(0, 300);
  }
  console.log(JSON.stringify({ client, what, why }));
}

for (const useResponsesApi of [false, true]) {
  const more = useResponsesApi ? ", responses" : "";
  const chat = new ChatOpenAI({
    model: "gpt-4o", apiKey: key, configuration: { baseURL: base }, useResponsesApi, maxRetries: 0,
  });
  const parameters = { type: "object", properties: { city: { type: "string" } } };
  const tool = { type: "function", function: { name: "weather", description: "How.", parameters } };
  await trial("@langchain/openai", `invoke${more}`, async () => (await chat.invoke("Hi")).text);
  await trial("@langchain/openai", `stream${more}`, async () => {
    let text = "";
    for await (const part of await chat.stream("Hi")) text += part.text;
    return text;
  });
  await trial("@langchain/openai", `structured${more}`, async () =>
    (await chat.withStructuredOutput(Person).invoke("Ada")).name);
  await trial("@langchain/openai", `tool${more}`, async () => (await chat.bindTools([tool]).invoke("Ely")).tool_calls);
}

const provider = createOpenAI({ baseURL: base, apiKey: key });
const heard = (model, options) => async () => {
  const openai = { ...options };
  return (await ai.experimental_transcribe({
    model: provider.transcription(model), audio: wav(), providerOptions: { openai },
  })).text;
};
const streamed = (model, options) => async () => {
  const audio = new ReadableStream({
    start(to) {
      const data = tone(1.0);
      for (let at = 0; at < data.length; at += 960) to.enqueue(new Uint8Array(data.subarray(at, at + 960)));
      to.close();
    },
  });
  const inputAudioFormat = { type: "audio/pcm", rate: RATE };
  const found = ai.experimental_streamTranscribe({
    model: provider.transcription(model), audio, inputAudioFormat, providerOptions: { openai: { ...options } },
  });
  for await (const part of found.fullStream) if (part.type === "error") throw part.error;
  return await found.text;
};
await trial("AI SDK, sound", "transcribe", heard("whisper-1", { timestampGranularities: ["segment"] }));
await trial("AI SDK, sound", "transcribe, languages", heard("gpt-transcribe", { languages: ["en"] }));
await trial("AI SDK, sound", "transcribe, logprobs", heard("gpt-4o-transcribe", { include: ["logprobs"] }));
await trial("AI SDK, sound", "streamTranscribe", streamed("gpt-transcribe", { language: "en" }));
await trial("AI SDK, sound", "streamTranscribe, delay", streamed("gpt-realtime-whisper", { streaming: { delay: "low" } }));
await trial("AI SDK, sound", "streamTranscribe, logprobs",
  streamed("gpt-realtime-whisper", { streaming: { include: ["item.input_audio_transcription.logprobs"] } }));
await trial("AI SDK, sound", "generateSpeech", async () =>
  (await ai.experimental_generateSpeech({ model: provider.speech("tts-1"), text: "Hi", voice: "alloy" })).audio.uint8Array);
await trial("AI SDK, sound", "realtime", async () => {
  const model = provider.experimental_realtime("gpt-realtime");
  const { url, protocols, headers } = await model.getServerWebSocketConfig();
  const line = new WebSocket(url, protocols, { headers });
  const send = (event) => line.send(JSON.stringify(event));
  return await new Promise((yes, no) => {
    line.on("error", no);
    line.on("open", () => {
      send({ type: "session.update", session: model.buildSessionConfig({ outputModalities: ["text"], voice: "alloy" }) });
      const item = { type: "text-message", role: "user", text: "Hi" };
      for (const event of [{ type: "conversation-item-create", item }, { type: "response-create" }])
        send(model.serializeClientEvent(event));
    });
    line.on("message", (text) => {
      const event = JSON.parse(text);
      model.parseServerEvent(event);
      if (event.type === "error") no(new Error(JSON.stringify(event.error)));
      if (event.type === "response.done") { line.close(); yes(true); }
    });
  });
});

await trial("@mastra/voice-openai", "speak", async () => {
  const parts = [];
  for await (const part of await new OpenAIVoice({ speechModel: { name: "tts-1", apiKey: key } }).speak("Hi")) parts.push(part);
  return parts;
});
await trial("@mastra/voice-openai", "listen", () => new OpenAIVoice().listen(Readable.from([wav()]), { filetype: "wav" }));
await trial("@mastra/voice-openai-realtime", "spoken to", async () => {
  const voice = new OpenAIRealtimeVoice({ apiKey: key, url: base.replace(/^http/, "ws") + "/realtime", model: "gpt-realtime" });
  const sounding = new Promise((yes, no) => {
    voice.on("speaking", yes);
    voice.on("error", (error) => no(new Error(JSON.stringify(error))));
  });
  await voice.connect();
  const data = Buffer.concat([tone(1.0), tone(1.5, 0)]);
  for (let at = 0; at < data.length; at += 960) {
    await voice.send(new Int16Array(new Uint8Array(data.subarray(at, at + 960)).buffer));
    await new Promise((go) => setTimeout(go, 20));
  }
  try { return Boolean(await sounding); } finally { voice.close(); }
});

const messages = [{ role: "user", content: "Hi" }];
for (const Kind of [LlamaOpenAI, OpenAIResponses])
  await trial("@llamaindex/openai", Kind.name, async () =>
    (await new Kind({ model: "gpt-4o", apiKey: key, baseURL: base }).chat({ messages })).message.content);
process.exit(0);
