// One conversation over /v1/realtime, as any client may hold it: microphone up, speech down.
// Knows no element of the page, and decides nothing about turns: it plays, stops, and reports what was heard.

const RATE = 24000;
const KEY = "openai-insecure-api-key."; // a browser's way to show a token on a WebSocket

export class Call extends EventTarget {
  #token;
  #socket = null;
  #open = false;
  #player = null;
  #speaker = null;
  #capture = null;
  #stream = null;
  #active = null; // the response that is being made
  #ended = new Set(); // items of the agent that will get no more sound
  #playing = null; // the item that sounds, or waits to
  #held = false;
  #stopping = false; // the player has been told to stop, and has not said yet how much it played
  #pending = []; // what was typed while a reply still had to end

  // To be made while a press is being handled: only then may a page make sound.
  constructor(token) {
    super();
    this.#token = token;
    this.#speaker = new AudioContext({ sampleRate: RATE, latencyHint: "interactive" });
    this.#speaker.resume();
  }

  get listening() {
    return this.#stream !== null;
  }

  // Connect, with or without a microphone. Throws what the browser says against it.
  async start(microphone) {
    if (!this.#speaker.audioWorklet) {
      if (microphone) throw new Error("insecure");
      await this.#connect(); // a page that came over plain http may not play: its answers are written
      return;
    }
    await this.#speaker.audioWorklet.addModule("/worklet.js");
    this.#player = new AudioWorkletNode(this.#speaker, "player", { numberOfInputs: 0, outputChannelCount: [1] });
    this.#player.port.onmessage = ({ data }) => (data.what === "flushed" ? this.#flushed(data) : this.#played(data));
    this.#player.connect(this.#speaker.destination);
    if (microphone) await this.listen();
    await this.#connect();
  }

  // Answer what was typed; a reply that is being made or said is interrupted first.
  ask(text) {
    this.#pending.push(text);
    this.interrupt();
    this.#askPending();
  }

  // What is seen from now on, as a data URL; nothing with null.
  show(url) {
    if (this.#open) this.#send({ type: "backchat.view", image_url: url });
  }

  // End the reply that is being made or said.
  interrupt() {
    if (this.#active) this.#send({ type: "response.cancel" });
    if (this.#playing) this.#flush();
  }

  stop() {
    this.#open = false;
    this.#stream?.getTracks().forEach((track) => track.stop());
    this.#capture?.close();
    this.#speaker?.close();
    this.#socket?.close();
    this.#stream = this.#capture = this.#speaker = this.#socket = null;
  }

  async listen() {
    const wanted = { echoCancellation: true, noiseSuppression: true, autoGainControl: true, channelCount: 1 };
    this.#stream = await navigator.mediaDevices.getUserMedia({ audio: wanted });
    this.#capture = new AudioContext({ latencyHint: "interactive" });
    await this.#capture.audioWorklet.addModule("/worklet.js");
    const mono = { numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit" };
    const node = new AudioWorkletNode(this.#capture, "capture", mono);
    node.port.onmessage = ({ data }) => this.#heard(data);
    this.#capture.createMediaStreamSource(this.#stream).connect(node);
  }

  #connect() {
    const where = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/v1/realtime?events=all`;
    const socket = new WebSocket(where, ["realtime", ...(this.#token ? [KEY + this.#token] : [])]);
    this.#socket = socket;
    socket.onmessage = ({ data }) => this.#receive(JSON.parse(data));
    return new Promise((resolve, reject) => {
      this.addEventListener("open", resolve, { once: true });
      socket.onclose = ({ code, reason }) => {
        const wanted = socket !== this.#socket;
        reject(new Error(reason || "refused"));
        if (!wanted && this.#open) this.#tell("closed", { code, reason });
      };
    });
  }

  #heard({ samples, level }) {
    this.#tell("level", { level });
    if (this.#open) this.#send({ type: "input_audio_buffer.append", audio: base64(samples) });
  }

  #receive(message) {
    switch (message.type) {
      case "session.created":
        this.#open = true;
        if (!this.#player) this.#send({ type: "session.update", session: { type: "realtime", output_modalities: ["text"] } });
        this.#tell("open", message.session);
        break;
      case "response.created":
        this.#active = message.response.id;
        break;
      case "response.output_audio.delta":
        this.#play(message.item_id, message.delta);
        break;
      case "input_audio_buffer.speech_started":
        this.#bargedIn();
        break;
      case "response.done":
        this.#done(message.response);
        break;
      case "backchat.event":
        if (message.event.event === "audio_resumed") this.#resume();
        break;
    }
    this.#tell("message", message);
  }

  #play(item, delta) {
    if (this.#ended.has(item)) return;
    if (this.#playing !== item) {
      this.#playing = item;
      this.#held = false;
    }
    const samples = new Int16Array(Uint8Array.from(atob(delta), (letter) => letter.charCodeAt(0)).buffer);
    this.#player.port.postMessage({ what: "play", item, samples }, [samples.buffer]);
  }

  // Somebody speaks while a reply sounds: it stops at once. The server says whether it goes on.
  #bargedIn() {
    if (!this.#playing) return;
    if (this.#ended.has(this.#playing)) {
      this.#flush();
      return;
    }
    this.#held = true;
    this.#player.port.postMessage({ what: "pause" });
  }

  #flush() {
    this.#ended.add(this.#playing); // what of it is still on its way is not played any more
    this.#stopping = true;
    this.#player.port.postMessage({ what: "flush" });
  }

  #resume() {
    this.#held = false;
    this.#player.port.postMessage({ what: "resume" });
  }

  #done(response) {
    this.#active = null;
    const item = response.output[0]?.id;
    if (!this.#player && item) this.#tell("read", { item }); // what is written is read
    if (item === this.#playing) {
      if (this.#held || response.status === "cancelled") this.#flush();
      else this.#player.port.postMessage({ what: "end" });
    }
    this.#ended.add(item);
    this.#askPending();
  }

  // Once the last reply has ended and it is known how much of it was heard: the answer builds on that.
  #askPending() {
    if (!this.#open || this.#active || this.#stopping || this.#pending.length === 0) return;
    const content = [{ type: "input_text", text: this.#pending.join("\n") }];
    this.#pending = [];
    this.#send({ type: "conversation.item.create", item: { type: "message", role: "user", content } });
    this.#send({ type: "response.create" });
  }

  #played({ item, played, dry }) {
    const over = dry && item === this.#playing;
    if (over) this.#playing = null;
    this.#tell("played", { item, ms: this.#audible(played), over });
  }

  // A reply was stopped: so much of it was really heard.
  #flushed({ item, played }) {
    this.#stopping = false;
    if (item !== null && item === this.#playing) {
      this.#playing = null;
      this.#held = false;
      const ms = this.#audible(played);
      this.#send({ type: "conversation.item.truncate", item_id: item, content_index: 0, audio_end_ms: ms });
      this.#tell("cut", { item, ms });
    }
    this.#askPending();
  }

  // Milliseconds of a reply that have left the speaker, when so many samples have been given to it.
  #audible(samples) {
    const onTheWay = (this.#speaker?.outputLatency || 0) + (this.#speaker?.baseLatency || 0);
    return Math.max(0, Math.floor((samples / RATE - onTheWay) * 1000));
  }

  #send(message) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  #tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}

function base64(samples) {
  return btoa(String.fromCharCode(...new Uint8Array(samples.buffer)));
}
