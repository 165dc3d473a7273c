// One conversation over /v1/realtime, as any client may hold it: microphone up, speech down.
// Knows no element of the page, and decides nothing about turns: it plays, stops, and reports what was heard.

import { PeerLine, SocketLine } from "/line.js";
import { compressed, expanded } from "/law.js";

const RATE = 24000;
const PAUSE = 500; // milliseconds between two tries to come back
const TELEPHONE = { rate: 8000, block: 800 }; // a sixth of the bits, and fewer headers around them
const FORMATS = { [RATE]: { type: "audio/pcm", rate: RATE }, [TELEPHONE.rate]: { type: "audio/pcmu" } };
const BACKED_UP = 16384; // bytes that wait for the network: a quarter of a second of the microphone

export class Call extends EventTarget {
  #token;
  #line = null;
  #voice; // the one that is asked for; none: the usual one
  #open = false;
  #player = null; // plays what comes in events; over WebRTC the browser does, and the server knows what was heard
  #speaker = null;
  #capture = null;
  #microphone = null; // tells what it hears
  #rate = RATE; // at which both sides send sound
  #rates = new Map(); // that of each response
  #stream = null;
  #active = null; // the response that is being made
  #ended = new Set(); // items of the agent that will get no more sound
  #playing = null; // the item that sounds, or waits to
  #items = new Map(); // that of each response
  #ms = 0; // how far the item has sounded, as the server knows it
  #held = false;
  #stopping = false; // the player has been told to stop, and has not said yet how much it played
  #pending = []; // what was typed while a reply still had to end
  #kept = null; // the session, as it is found again when its connection is lost: its token, and for how long
  #last = null; // the item that sounded last, and how far

  // To be made while a press is being handled: only then may a page make sound.
  constructor(token, voice = "") {
    super();
    this.#token = token;
    this.#voice = voice;
    this.#speaker = new AudioContext({ sampleRate: RATE, latencyHint: "interactive" });
    this.#speaker.resume();
  }

  get listening() {
    return this.#stream !== null;
  }

  // By what it travels: "WebRTC" or "WebSocket".
  get wire() {
    return this.#line?.name ?? "";
  }

  // Connect, with or without a microphone. Throws what the browser says against it.
  async start(microphone) {
    const plays = Boolean(this.#speaker.audioWorklet); // not for a page over plain http: its answers are written
    if (microphone && !plays) throw new Error("insecure");
    if (microphone) await this.listen();
    if (!(plays && PeerLine.possible && (await this.#dial(new PeerLine())))) {
      if (plays) await this.#makePlayer();
      await this.#dial(new SocketLine());
    }
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

  // Have this voice speak from the next reply on.
  speak(voice) {
    this.#voice = voice;
    if (this.#open) this.#update({ audio: { output: { voice } } });
  }

  // End the reply that is being made or said.
  interrupt() {
    if (this.#active) this.#send({ type: "response.cancel" });
    if (this.#player && this.#playing) this.#flush();
    else if (this.#playing) this.#send({ type: "output_audio_buffer.clear" });
  }

  stop() {
    this.#open = false;
    this.#kept = null;
    this.#stream?.getTracks().forEach((track) => track.stop());
    this.#capture?.close();
    this.#speaker?.close();
    this.#line?.close();
    this.#stream = this.#capture = this.#speaker = this.#line = null;
  }

  async listen() {
    const wanted = { echoCancellation: true, noiseSuppression: true, autoGainControl: true, channelCount: 1 };
    this.#stream = await navigator.mediaDevices.getUserMedia({ audio: wanted });
    this.#capture = new AudioContext({ latencyHint: "interactive" });
    await this.#capture.audioWorklet.addModule("/worklet.js");
    const mono = { numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit" };
    const node = new AudioWorkletNode(this.#capture, "capture", mono);
    node.port.onmessage = ({ data }) => this.#heard(data);
    this.#microphone = node.port;
    this.#capture.createMediaStreamSource(this.#stream).connect(node);
    if (this.#line?.carriesSound) await this.#line.speak(this.#stream);
  }

  #dial(line) {
    this.#line = line;
    const take = (message) => line === this.#line && this.#receive(message);
    const ended = (reason, lost) => line === this.#line && this.#open && this.#over(reason, lost);
    return line.open(this.#token, take, ended, this.#stream);
  }

  // The line is over. One that was lost is made anew, and the session goes on where it was heard last.
  async #over(reason, lost) {
    const kept = lost ? this.#kept : null;
    if (kept) {
      const until = performance.now() + 1000 * kept.seconds;
      const Line = this.#line.constructor;
      this.#open = this.#held = false;
      this.#active = null;
      if (this.#player && this.#playing) this.#flush();
      else this.#silent("cut");
      this.#tell("lost", {});
      while (this.#kept === kept && performance.now() < until) {
        await new Promise((resolve) => setTimeout(resolve, PAUSE));
        if (this.#kept !== kept) return;
        if (await this.#dial(new Line()).catch(() => false)) return;
      }
      if (this.#kept !== kept) return;
    }
    this.#tell("closed", { reason });
  }

  async #makePlayer() {
    await this.#speaker.audioWorklet.addModule("/worklet.js");
    this.#player = new AudioWorkletNode(this.#speaker, "player", { numberOfInputs: 0, outputChannelCount: [1] });
    this.#player.port.onmessage = ({ data }) => (data.what === "flushed" ? this.#flushed(data) : this.#played(data));
    this.#player.connect(this.#speaker.destination);
  }

  get #written() {
    return !this.#player && !this.#line.carriesSound;
  }

  #heard({ samples, rate, level }) {
    this.#tell("level", { level });
    if (!this.#open || this.#line.carriesSound) return;
    if (rate !== this.#rate) {
      this.#rate = rate;
      const format = FORMATS[rate];
      this.#update({ audio: { input: { format }, output: { format } } });
    }
    const bytes = rate === RATE ? new Uint8Array(samples.buffer) : compressed(samples);
    this.#send({ type: "input_audio_buffer.append", audio: btoa(String.fromCharCode(...bytes)) });
    if (rate === RATE && this.#line.waiting > BACKED_UP) this.#microphone.postMessage(TELEPHONE);
  }

  #receive(message) {
    switch (message.type) {
      case "session.created":
        this.#open = true;
        if (this.#kept) this.#rate = null; // a session that is found again is told anew what comes
        this.#send({ type: "backchat.resume", token: this.#kept?.token ?? null, ...(this.#kept && this.#last) });
        if (this.#written) this.#update({ output_modalities: ["text"] });
        if (this.#voice) this.speak(this.#voice);
        this.#tell("open", message.session);
        break;
      case "backchat.session":
        this.#kept = message;
        break;
      case "response.created":
        this.#active = message.response.id;
        this.#rates.set(this.#active, message.response.audio.output.format.rate ?? TELEPHONE.rate);
        break;
      case "response.output_item.added":
        if (message.item.type === "message") this.#items.set(message.response_id, message.item.id);
        break;
      case "output_audio_buffer.started":
        this.#sounds(this.#items.get(message.response_id));
        break;
      case "output_audio_buffer.stopped":
        this.#silent("played", { over: true });
        break;
      case "output_audio_buffer.cleared":
        this.#silent("cut");
        break;
      case "response.output_audio.delta":
        this.#play(message.item_id, message.delta, this.#rates.get(message.response_id));
        break;
      case "input_audio_buffer.speech_started":
        this.#bargedIn();
        break;
      case "response.done":
        this.#done(message.response);
        break;
      case "backchat.event":
        if (message.event.event === "audio_resumed") this.#resume();
        if (message.event.event === "word_heard") this.#follow(message.event.audio_end_ms);
        break;
    }
    this.#tell("message", message);
  }

  #play(item, delta, rate) {
    if (this.#ended.has(item)) return;
    if (this.#playing !== item) {
      this.#playing = item;
      this.#held = false;
    }
    const bytes = Uint8Array.from(atob(delta), (letter) => letter.charCodeAt(0));
    const samples = rate === RATE ? new Int16Array(bytes.buffer) : expanded(bytes);
    this.#player.port.postMessage({ what: "play", item, samples, rate }, [samples.buffer]);
  }

  // The server has begun to say this item, on its track.
  #sounds(item) {
    this.#playing = item;
    this.#tell("read", { item }); // what of it was heard the server knows
    this.#follow(0);
  }

  #follow(ms) {
    if (this.#player || !this.#playing) return;
    this.#ms = ms;
    this.#tell("played", { item: this.#playing, ms, over: false });
  }

  #silent(how, more) {
    const item = this.#playing;
    this.#playing = null;
    if (item) this.#tell(how, { item, ms: this.#ms, ...more });
  }

  // Somebody speaks while a reply sounds: it stops at once. The server says whether it goes on.
  #bargedIn() {
    if (!this.#player || !this.#playing) return;
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
    this.#player?.port.postMessage({ what: "resume" });
  }

  #done(response) {
    this.#active = null;
    const item = response.output[0]?.id;
    if (this.#written && item) this.#tell("read", { item }); // what is written is read
    if (this.#player && item === this.#playing) {
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
    this.#last = { item_id: item, audio_end_ms: this.#audible(played) };
    if (over) this.#playing = null;
    this.#tell("played", { item, ms: this.#audible(played), over });
  }

  // A reply was stopped: so much of it was really heard.
  #flushed({ item, played }) {
    this.#stopping = false;
    if (item !== null) this.#last = { item_id: item, audio_end_ms: this.#audible(played) };
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

  #update(session) {
    this.#send({ type: "session.update", session: { type: "realtime", ...session } });
  }

  #send(message) {
    this.#line?.send(message);
  }

  #tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}
