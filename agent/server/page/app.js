// The page: what is pressed becomes a call, what the call tells becomes the view. Knows no protocol's details.

import { Call } from "/call.js";
import { Camera } from "/camera.js";
import { Transcript } from "/view.js";

const STATES = {
  off: "Press once and talk",
  connecting: "Connecting…",
  listening: "Listening",
  hearing: "Hearing you",
  thinking: "Thinking",
  speaking: "Speaking",
  interrupted: "Interrupted",
};

const find = (name) => document.getElementById(name);
const transcript = new Transcript(find("log"));
const camera = new Camera(find("preview"), (url) => call?.show(url));
let call = null;
let starting = false;

const CUT = 1500; // milliseconds for which it is said that a reply was interrupted

// What goes on. The state that is shown is derived from it, so that none stays when what it showed is over.
const facts = { open: false, hearing: false, sounding: false, turns: new Set(), cut: 0 };

function state() {
  if (!call) return "off";
  if (!facts.open) return "connecting";
  if (facts.cut) return "interrupted";
  if (facts.hearing) return "hearing";
  if (facts.sounding) return "speaking";
  return facts.turns.size > 0 ? "thinking" : "listening";
}

// Something has changed: show what goes on now.
function now(changed = {}) {
  Object.assign(facts, changed);
  show(state());
}

function uncut() {
  clearTimeout(facts.cut);
  facts.cut = 0;
}

function forget() {
  uncut();
  facts.turns.clear();
  now({ open: false, hearing: false, sounding: false });
}

// A token comes in the address, after #token= (which is sent to nobody), or is asked for; it is kept for this tab.
const given = new URLSearchParams(location.hash.slice(1)).get("token");
if (given) {
  sessionStorage.setItem("token", given);
  history.replaceState(null, "", location.pathname);
}
const token = () => sessionStorage.getItem("token") ?? "";

// The voice that was chosen in this tab, where there are several.
const voice = () => sessionStorage.getItem("voice") ?? "";

async function offerVoices(headers) {
  const answer = await fetch("/v1/audio/voices", { headers }).catch(() => null);
  if (!answer?.ok) return;
  const { data } = await answer.json();
  const own = data.filter((each) => each.id === each.name);
  find("voices").hidden = own.length < 2;
  find("voice").replaceChildren(...own.map(({ id, language }) => new Option(`${id} (${language})`, id)));
  if (own.some(({ id }) => id === voice())) find("voice").value = voice();
  else sessionStorage.removeItem("voice");
}

function show(state) {
  document.body.dataset.state = state;
  document.body.dataset.microphone = call?.listening ? "on" : "off";
  find("state").textContent = state === "listening" && !call?.listening ? "Ready" : STATES[state];
  find("action").textContent = call?.listening ? "Stop talking" : "Start talking";
  find("wire").textContent = facts.open ? call.wire : "";
}

function tell(text) {
  find("told").textContent = text;
}

function trouble(text) {
  find("trouble").textContent = text;
}

// Whether the server would have us. If not, it is said what to do.
async function welcome() {
  const headers = token() ? { authorization: `Bearer ${token()}` } : {};
  const answer = await fetch("/v1/models", { headers }).catch(() => null);
  find("access").hidden = answer?.status !== 401;
  if (answer?.ok) {
    const { data } = await answer.json();
    find("model").textContent = data.map((model) => model.id).join(" · ");
    await offerVoices(headers);
    return true;
  }
  if (answer?.status === 401) find("token").focus();
  else trouble(answer ? (await answer.json()).error.message : "The server cannot be reached. Is it running?");
  return false;
}

async function start(microphone) {
  if (starting) return;
  starting = true;
  trouble("");
  try {
    if (call) {
      await call.listen();
      now();
    } else {
      call = watched(new Call(token(), voice()));
      now();
      if (!(await welcome())) throw null;
      await call.start(microphone);
    }
    tell(`Connected over ${call.wire}. ${microphone ? "Talk" : "Type"}.`);
  } catch (error) {
    stop();
    if (error) trouble(reason(error));
  } finally {
    starting = false;
  }
}

function stop() {
  const open = call !== null;
  see(false);
  call?.stop();
  call = null;
  find("level").style.transform = "";
  forget();
  if (open) tell("Stopped.");
}

// The camera is on only while this button says so, and the preview shows what it sees.
async function see(wanted) {
  try {
    if (wanted) await camera.start();
    else camera.stop();
  } catch (error) {
    camera.stop();
    trouble(error.name === "NotAllowedError" ? "The camera is not allowed. Allow it for this page." : "There is no camera.");
  }
  find("preview").hidden = !camera.on;
  find("camera").setAttribute("aria-pressed", String(camera.on));
  find("camera").textContent = camera.on ? "The camera is on. Switch it off" : "Show with the camera";
}

function reason(error) {
  const named = {
    NotAllowedError: "The microphone is not allowed. Allow it for this page, or type.",
    NotFoundError: "There is no microphone. You can type.",
    NotReadableError: "The microphone is in use elsewhere. Close that, or type.",
  };
  if (error.message === "refused") return "The server is busy. Try again in a few seconds.";
  if (!navigator.mediaDevices) return "A microphone needs https, or this machine's own address. You can type.";
  return named[error.name] ?? `It did not work: ${error.message}`;
}

// What happens in a call, as states and transcript.
function watched(made) {
  const on = (name, act) => made.addEventListener(name, ({ detail }) => made === call && act(detail));
  on("open", () => now({ open: true }));
  on("lost", () => {
    forget();
    tell("The connection was lost. Connecting again.");
  });
  on("closed", ({ reason }) => {
    stop();
    trouble(`The call has ended${reason ? `: ${reason}` : ""}.`);
  });
  on("level", ({ level }) => {
    const loudness = Math.min(1, Math.max(0, 1 + Math.log10(level + 1e-5) / 2.4)); // -48 dB to 0 dB
    find("level").style.transform = `scaleX(${loudness.toFixed(3)})`;
    find("talk").style.setProperty("--level", loudness.toFixed(3));
  });
  on("played", ({ item, ms, over }) => {
    transcript.played(item, ms, over);
    if (!over) uncut();
    now({ sounding: !over });
  });
  on("read", ({ item }) => transcript.settle(item));
  on("cut", ({ item, ms }) => {
    transcript.cut(item, ms);
    uncut();
    now({ sounding: false, cut: setTimeout(() => now({ cut: 0 }), CUT) });
    tell("Interrupted.");
  });
  on("message", follow);
  return made;
}

function follow(message) {
  switch (message.type) {
    case "input_audio_buffer.speech_started":
      camera.speaking = true;
      transcript.hear();
      uncut();
      now({ hearing: true });
      break;
    case "input_audio_buffer.speech_stopped":
      camera.speaking = false;
      transcript.unhear();
      now({ hearing: false });
      break;
    case "response.output_item.added":
      if (message.item.type === "message") transcript.expect(message.item.id);
      break;
    case "response.done":
      if (message.response.status === "completed") trouble(""); // what was told before is over
      break;
    case "conversation.item.truncated":
      transcript.settle(message.item_id, message.transcript);
      break;
    case "error":
      // A reply may end of itself just before we say that it should.
      if (message.error.code !== "response_cancel_not_active") trouble(message.error.message);
      break;
    case "backchat.session":
      if (message.resumed) tell("Connected again.");
      break;
    case "backchat.event":
      transcript.event(message.event);
      think(message.event);
      break;
  }
}

// The answer is worked on from the first pause; who goes on is heard on.
function think({ event, turn }) {
  if (event === "turn_opened") facts.turns.add(turn);
  if (event === "turn_ended" || event === "turn_discarded") facts.turns.delete(turn);
  if (event === "speech_paused") facts.hearing = false;
  if (event === "speech_started" || event === "speech_resumed") facts.hearing = true;
  now();
}

find("talk").addEventListener("click", () => (call?.listening ? stop() : start(true)));

find("voice").addEventListener("change", () => {
  sessionStorage.setItem("voice", find("voice").value);
  call?.speak(voice());
});

find("camera").addEventListener("click", async () => {
  if (camera.on) return see(false);
  if (!call) await start(true);
  if (call) await see(true);
});

find("typed").addEventListener("submit", async (event) => {
  event.preventDefault();
  const text = find("text").value.trim();
  if (!text) return;
  if (!call) await start(false);
  if (!call) return;
  find("text").value = "";
  call.ask(text);
});

find("access").addEventListener("submit", async (event) => {
  event.preventDefault();
  sessionStorage.setItem("token", find("token").value.trim());
  trouble("");
  if (await welcome()) find("talk").focus();
  else trouble("That token is not accepted.");
});

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") call?.interrupt();
  const elsewhere = event.target.closest("input, select, button, summary, a");
  if (elsewhere || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key !== " " && event.key !== "Enter") return;
  event.preventDefault();
  find("talk").click();
});

now();
welcome();
