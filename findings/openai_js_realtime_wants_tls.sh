#!/usr/bin/env bash
# The openai package of npm cannot talk Realtime to a server without TLS. Whatever the client's baseURL says,
# OpenAIRealtimeWS makes "wss:" of it: of http://127.0.0.1:8400/v1 too, where the same client's other calls go out in
# clear text as they should. Who tries a local server gets a TLS error ("wrong version number") that names neither
# the address nor the reason; the Python package takes ws:// of http://.
#
# Seen: openai 7.59.0 of npm: the URL of OpenAIRealtimeWS begins wss://127.0.0.1:PORT, and the connection ends with
# an error of TLS, though the HTTP server there gets the bytes of a TLS handshake.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund openai@7.59.0 ws@8
cat > try.mjs <<'JS'
import assert from "node:assert";
import net from "node:net";
import OpenAI from "openai";
import { OpenAIRealtimeWS } from "openai/realtime/ws";

let first;
const server = net.createServer((socket) => {
  socket.on("error", () => {});
  socket.once("data", (data) => {
    first = data[0];
    socket.end("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
  });
});
server.listen(0, "127.0.0.1", () => {
  const baseURL = `http://127.0.0.1:${server.address().port}/v1`;
  const client = new OpenAI({ baseURL, apiKey: "none" });
  assert(client.buildURL("/models").startsWith("http:"));
  const realtime = new OpenAIRealtimeWS({ model: "any" }, client);
  assert.equal(realtime.url.protocol, "wss:");
  realtime.on("error", (error) => {
    console.log(`${realtime.url.origin}: ${error.message}`);
    assert.equal(first, 0x16); // the record of a TLS handshake
    assert.match(String(error.message), /SSL|TLS|wrong version/i);
    process.exit(0);
  });
});
setTimeout(() => process.exit(1), 20_000);
JS
node try.mjs
