// What the page shows of a conversation: transcript and waits. Knows no socket and no sound.

const PARTS = [
  // The parts of a wait, in order, and the moment at which each is over (as in agent/reports/waits.py).
  ["end of turn", "opened"],
  ["STT", "transcribed"],
  ["first token", "token"],
  ["first chunk", "chunk"],
  ["TTS", "speech"],
  ["commit", "committed"],
  ["start", "audio"],
];

const MOMENTS = {
  transcribed: "transcribed",
  token: "token",
  chunk: "chunk",
  synthesized: "speech",
  turn_committed: "committed",
  audio_started: "audio",
};

const LONGEST = 200; // characters of what a tool is called with

// The conversation as transcript. `log` is the element that holds them.
export class Transcript {
  constructor(log) {
    this.log = log;
    this.turns = new Map(); // by number
    this.user = null; // what is being said, and not answered yet
  }

  get last() {
    return [...this.turns.values()].at(-1);
  }

  hear() {
    this.user ??= this.#bubble("you", "…");
  }

  unhear() {
    this.user?.remove();
    this.user = null;
  }

  // Take in one event of the session.
  event(event) {
    const turn = this.turns.get(event.turn);
    const moment = MOMENTS[event.event];
    if (turn && moment) turn.times[moment] ??= event.time;
    switch (event.event) {
      case "turn_opened":
        this.turns.set(event.turn, new Turn(event));
        break;
      case "interim_transcript":
        if (this.user && event.text) this.#say(this.user, event.text);
        break;
      case "turn_discarded":
        this.turns.delete(event.turn);
        break;
      case "turn_committed":
        this.#committed(turn, event.text);
        break;
      case "token":
        turn?.write(event.text);
        break;
      case "word_heard":
        turn?.sounds(event);
        break;
      case "audio_started":
        turn?.showWaits();
        break;
      case "tool_called":
      case "tool_returned":
        turn?.does(event);
        break;
      case "turn_ended":
        turn?.end(event);
        break;
    }
    this.#follow();
  }

  // So much of that item of the agent was really played.
  played(item, ms, over) {
    this.#of(item)?.played(over ? Infinity : ms);
  }

  cut(item, ms) {
    this.#of(item)?.cut(ms);
  }

  // The server knows how much of it was played; `transcript` is what it holds to have been heard, if it can say.
  settle(item, transcript) {
    this.#of(item)?.settle(transcript);
  }

  // The item that a response of the protocol speaks is the reply that was committed last, if that has none
  // yet: it is told with the first word. Or the one that is committed next, whose first word was there before.
  expect(item) {
    const committed = [...this.turns.values()].filter((turn) => turn.bubble).at(-1);
    if (committed && !committed.item) committed.item = item;
    else this.item = item;
  }

  #of(item) {
    return [...this.turns.values()].find((turn) => turn.item === item);
  }

  #committed(turn, text) {
    this.user ??= this.#bubble("you", "");
    this.#say(this.user, text);
    if (!text) this.user.remove();
    this.user = null;
    turn.item = this.item;
    this.item = undefined;
    turn.show(this.#bubble("agent", ""));
  }

  #bubble(who, text) {
    const bubble = document.createElement("article");
    bubble.className = who;
    const name = document.createElement("h2");
    name.textContent = who === "you" ? "You" : "Agent";
    const said = document.createElement("p");
    said.textContent = text;
    bubble.append(name, said);
    this.log.append(bubble);
    return bubble;
  }

  #say(bubble, text) {
    bubble.querySelector("p").textContent = text;
  }

  #follow() {
    this.log.lastElementChild?.scrollIntoView({ block: "end" });
  }
}

// One reply: its words, which of them were heard, and where its time went.
class Turn {
  constructor({ turn, time, speech_end }) {
    this.number = turn;
    this.text = "";
    this.times = { speechEnd: speech_end, opened: time };
    this.words = []; // {element, start}
    this.ahead = []; // words that the server has sent and that have not sounded here yet
    this.heard = 0; // characters
    this.calls = new Map(); // what is done for it, by number
    this.ms = 0;
    this.closed = false;
    this.settled = false; // the server's own count is the truth now
  }

  show(bubble) {
    this.bubble = bubble;
    this.#lay();
    this.#list();
  }

  // A tool is called, or has returned, perhaps long after the reply.
  does(event) {
    this.calls.set(event.call, { ...this.calls.get(event.call), ...event });
    this.#list();
  }

  write(text) {
    this.text += text;
    this.#lay();
  }

  sounds({ end, audio_end_ms }) {
    if (this.closed) return;
    this.ahead.push([audio_end_ms, end]);
    this.played(this.ms);
  }

  played(ms) {
    this.ms = ms;
    while (this.ahead.length > 0 && this.ahead[0][0] <= ms) this.heard = this.ahead.shift()[1];
    this.#light();
  }

  cut(ms) {
    this.played(ms);
    this.ahead = [];
    this.closed = true;
    this.#close();
  }

  settle(transcript) {
    this.settled = true;
    this.heard = transcript?.length ?? this.heard;
    this.#light();
  }

  end({ reason, heard, unheard }) {
    this.text = heard + unheard;
    this.reason = reason;
    if (this.settled) this.heard = heard.length;
    this.#lay();
    if (reason === "finished") return;
    if (this.ms === 0) this.closed = true; // nothing of it has sounded here
    this.#close();
  }

  // The waits between the user's last sound and the reply's first one, as a table of bars.
  showWaits() {
    const total = Math.max(0, this.times.audio - this.times.speechEnd);
    const details = document.createElement("details");
    const summary = document.createElement("summary");
    summary.textContent = `answered after ${total.toFixed(2)} s`;
    details.addEventListener("toggle", () => details.scrollIntoView({ block: "nearest" }));
    const table = document.createElement("table");
    const caption = table.createCaption();
    caption.className = "hidden";
    caption.textContent = "Where the time went before the first sound";
    let now = Math.min(this.times.speechEnd, this.times.audio);
    for (const [name, moment] of PARTS) {
      const reached = this.times[moment] ?? now;
      const then = Math.min(Math.max(reached, now), this.times.audio);
      table.append(bar(name, then - now, now - this.times.speechEnd, total));
      now = then;
    }
    details.append(summary, table);
    this.bubble?.append(details);
  }

  // What is done for it: a line each, behind its words.
  #list() {
    if (!this.bubble || this.calls.size === 0) return;
    let list = this.bubble.querySelector("ul");
    if (!list) {
      list = document.createElement("ul");
      list.setAttribute("aria-label", "What the agent does");
      this.bubble.querySelector("p").after(list);
    }
    list.replaceChildren(...[...this.calls.values()].map(line));
  }

  #lay() {
    if (!this.bubble) return;
    const said = this.bubble.querySelector("p");
    const pieces = [...this.text.matchAll(/\S+\s*/g)];
    pieces.forEach((piece, index) => {
      if (index === this.words.length) {
        const element = document.createElement("span");
        said.append(element);
        this.words.push({ element, start: piece.index });
      }
      const { element } = this.words[index];
      if (element.textContent !== piece[0]) element.textContent = piece[0];
    });
    this.#light();
  }

  #light() {
    for (const { element, start } of this.words) element.classList.toggle("heard", start < this.heard);
  }

  #close() {
    if (!this.bubble || this.bubble.classList.contains("cut")) return;
    this.bubble.classList.add("cut");
    const note = document.createElement("p");
    note.className = "note";
    note.textContent = this.reason === "error" ? "ended by an error" : "interrupted here: the rest was not heard";
    this.bubble.querySelector("p").after(note);
  }
}

function bar(name, seconds, after, total) {
  const row = document.createElement("tr");
  const head = document.createElement("th");
  head.scope = "row";
  head.textContent = name;
  const value = document.createElement("td");
  value.textContent = `${Math.round(seconds * 1000)} ms`;
  const picture = document.createElement("td");
  picture.className = "bar";
  const line = document.createElement("div");
  line.style.marginLeft = `${(100 * after) / (total || 1)}%`;
  line.style.width = `${(100 * seconds) / (total || 1)}%`;
  picture.append(line);
  row.append(head, value, picture);
  return row;
}

// A call as it is now: its name, what it is called with, and what has become of it.
function line({ name, arguments: given, outcome, took }) {
  const item = document.createElement("li");
  item.dataset.outcome = outcome ?? "running";
  const what = document.createElement("b");
  what.textContent = name.replaceAll("_", " ");
  const how = document.createElement("em");
  how.textContent = outcome ? `${outcome.replaceAll("_", " ")} after ${took.toFixed(1)} s` : "running…";
  item.append(what, ` ${pairs(given)} `, how);
  return item;
}

// Arguments by name; as they came, where they are no object. What is private has none.
function pairs(given) {
  if (!given) return "…";
  try {
    const told = Object.entries(JSON.parse(given)).map(([name, value]) => `${name}: ${typeof value === "string" ? value : JSON.stringify(value)}`);
    return shortened(told.join(", "));
  } catch {
    return shortened(given);
  }
}

function shortened(text) {
  return text.length > LONGEST ? `${text.slice(0, LONGEST - 1)}…` : text;
}
