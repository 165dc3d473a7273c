// How the events of a call travel, and over WebRTC its sound too. Knows nothing of what they mean.
//
// A line is opened once, and is open with the first event of the server. `take` is given each of them, `ended`
// why it is over, and whether it was lost, so that another may go on.

const KEY = "openai-insecure-api-key."; // a browser's way to show a token on a WebSocket
const GATHERING = 1500; // milliseconds for the servers that tell a browser its outer addresses
const PATIENCE = 4000; // milliseconds for WebRTC's packets to find their way, which some networks never let them

// Everything on one WebSocket: sound is events.
export class SocketLine {
  name = "WebSocket";
  carriesSound = false;
  #socket = null;

  async open(token, take, ended) {
    const where = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/v1/realtime?events=all`;
    const socket = new WebSocket(where, ["realtime", ...(token ? [KEY + token] : [])]);
    this.#socket = socket;
    await new Promise((resolve, reject) => {
      socket.onmessage = ({ data }) => {
        take(JSON.parse(data));
        resolve();
      };
      socket.onclose = ({ reason }) => reject(new Error(reason || "refused"));
    });
    socket.onclose = ({ code, reason }) => this.#socket && ended(reason, code !== 1000 && code !== 1008);
    return true;
  }

  send(message) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  // Bytes that the network has not taken yet.
  get waiting() {
    return this.#socket?.bufferedAmount ?? 0;
  }

  close() {
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
  }
}

// Events on a data channel; the microphone and the voice on tracks, which lose a packet rather than wait for it.
export class PeerLine {
  name = "WebRTC";
  carriesSound = true;
  #peer = null;
  #channel = null;
  #sender = null;
  #voice = new Audio();
  #error = null; // what the server told last, which says why when it closes

  static get possible() {
    return "RTCPeerConnection" in window && sessionStorage.getItem("wire") !== "WebSocket";
  }

  // False where the server has no WebRTC, or no packet gets through: then a WebSocket may.
  async open(token, take, ended, microphone) {
    const headers = token ? { authorization: `Bearer ${token}` } : {};
    const known = await fetch("/v1/realtime/ice_servers", { headers });
    if (!known.ok) throw new Error(await told(known));
    const iceServers = (await known.json()).ice_servers; // without any no other machine is asked for an address
    const peer = new RTCPeerConnection({ iceServers });
    this.#peer = peer;
    this.#sender = peer.addTransceiver("audio", { direction: "sendrecv" }).sender;
    if (microphone) await this.speak(microphone);
    peer.ontrack = ({ track }) => this.#play(track);
    this.#channel = peer.createDataChannel("oai-events");
    const begun = new Promise((resolve) => {
      this.#channel.onmessage = ({ data }) => {
        const message = JSON.parse(data);
        if (message.type === "error") this.#error = message.error;
        take(message);
        resolve(true);
      };
    });
    await peer.setLocalDescription();
    if (iceServers.length) await gathered(peer); // a relay of the server's lets in only whom it was told of
    const offer = { method: "POST", body: peer.localDescription.sdp };
    offer.headers = { ...headers, "content-type": "application/sdp" };
    const answer = await fetch("/v1/realtime/calls?events=all", offer);
    if (!answer.ok && answer.status !== 501) throw new Error(answer.status === 503 ? "refused" : await told(answer));
    if (answer.ok) {
      await peer.setRemoteDescription({ type: "answer", sdp: await answer.text() });
      const late = new Promise((resolve) => setTimeout(() => resolve(false), PATIENCE));
      if (await Promise.race([begun, late])) {
        const lost = () => this.#error === null || this.#error.code === "server_stops";
        this.#channel.onclose = () => this.#peer && ended(this.#error?.message, lost());
        return true;
      }
      await fetch(`${answer.headers.get("location")}/hangup`, { method: "POST", headers });
    }
    sessionStorage.setItem("wire", "WebSocket");
    this.close();
    return false;
  }

  // Have this microphone heard, from now on.
  speak(microphone) {
    return this.#sender.replaceTrack(microphone.getAudioTracks()[0]);
  }

  send(message) {
    if (this.#channel?.readyState === "open") this.#channel.send(JSON.stringify(message));
  }

  close() {
    const peer = this.#peer;
    this.#peer = this.#channel = null;
    this.#voice.srcObject = null;
    peer?.close();
  }

  #play(track) {
    this.#voice.srcObject = new MediaStream([track]);
    this.#voice.play().catch(() => {}); // closed before it began
  }
}

// Once the browser knows its addresses, or has looked for them long enough.
function gathered(peer) {
  return new Promise((resolve) => {
    const look = () => peer.iceGatheringState === "complete" && resolve();
    peer.addEventListener("icegatheringstatechange", look);
    setTimeout(resolve, GATHERING);
    look();
  });
}

async function told(answer) {
  return (await answer.json()).error.message;
}
