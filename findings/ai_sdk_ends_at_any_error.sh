#!/usr/bin/env bash
# The AI SDK's streamTranscribe takes every "error" event of a Realtime session for its end. OpenAI says of these
# events that most can be recovered from and the session stays open: a server that leaves out one wish of a session
# (a delay that it cannot keep) and says so loses its client, whose audio is closed and whose words, which come
# right behind, are never read. Hurt: servers of the same protocol that tell what they leave out; who uses them.
#
# Seen: @ai-sdk/openai 4.0.118 with ai 7.0.173: rejected with the error's message; without that event, "Hello."
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund ai@7.0.173 @ai-sdk/openai@4.0.118 ws@8
cat > try.mjs <<'JS'
import assert from "node:assert";
import { experimental_streamTranscribe as streamTranscribe } from "ai";
import { createOpenAI } from "@ai-sdk/openai";
import WebSocket, { WebSocketServer } from "ws";

globalThis.WebSocket ??= WebSocket;
process.on("unhandledRejection", () => {});

async function transcribed(error) {
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  server.on("connection", (line) => {
    const say = (event) => line.send(JSON.stringify({ event_id: "e", ...event }));
    line.on("message", (text) => {
      const { type } = JSON.parse(text);
      if (type === "session.update" && error) say({ type: "error", error: { type: "invalid_request_error", message: "delay: left out" } });
      if (type === "input_audio_buffer.commit")
        say({ type: "conversation.item.input_audio_transcription.completed", item_id: "i", transcript: "Hello." });
    });
  });
  await new Promise((go) => server.on("listening", go));
  const provider = createOpenAI({ baseURL: `http://127.0.0.1:${server.address().port}/v1`, apiKey: "none" });
  const audio = new ReadableStream({
    async start(to) {
      await new Promise((go) => setTimeout(go, 500));
      try { to.enqueue(new Uint8Array(960)); to.close(); } catch {} // it was cancelled
    },
  });
  const found = streamTranscribe({
    model: provider.transcription("gpt-realtime-whisper"), audio, inputAudioFormat: { type: "audio/pcm", rate: 24000 },
  });
  try {
    for await (const part of found.fullStream) if (part.type === "error") throw part.error;
    return await found.text;
  } catch (why) {
    return `rejected: ${why.message}`;
  } finally {
    server.close();
  }
}

const [plain, told] = [await transcribed(false), await transcribed(true)];
console.log(`without an error: ${plain} | with one: ${told}`);
assert.equal(plain, "Hello.");
assert.equal(told, "rejected: delay: left out");
process.exit(0);
JS
node try.mjs
