// The camera as pictures for /v1/realtime: one a second while the user speaks, one in three seconds otherwise.
// Off until it is asked for; knows no call and no element of the page but the preview that it is given.

const SPEAKING = 1000;
const QUIET = 3000;
const LONGEST = 960; // pixels of a picture's longer side
const MOST = 250000; // characters of one: a message of WebRTC's data channel has at most 262144
const QUALITIES = [0.85, 0.6, 0.4, 0.2]; // of JPEG, the first that is small enough

export class Camera {
  #video;
  #stream = null;
  #timer = null;
  #send;
  #last = 0;
  speaking = false;

  // send: is given each picture as a data URL, and null when there are no more.
  constructor(video, send) {
    this.#video = video;
    this.#send = send;
  }

  get on() {
    return this.#stream !== null;
  }

  // Throws what the browser says against it.
  async start() {
    this.#stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
    this.#video.srcObject = this.#stream;
    await this.#video.play();
    this.#last = -Infinity;
    this.#timer = setInterval(() => this.#look(), 100);
  }

  stop() {
    if (!this.on) return;
    clearInterval(this.#timer);
    this.#stream.getTracks().forEach((track) => track.stop());
    this.#stream = this.#video.srcObject = null;
    this.#send(null);
  }

  #look() {
    const now = performance.now();
    const { videoWidth: width, videoHeight: height } = this.#video;
    if (!width || now - this.#last < (this.speaking ? SPEAKING : QUIET)) return;
    this.#last = now;
    const scale = Math.min(1, LONGEST / Math.max(width, height));
    const canvas = document.createElement("canvas");
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
    canvas.getContext("2d").drawImage(this.#video, 0, 0, canvas.width, canvas.height);
    let url = "";
    for (const quality of QUALITIES) {
      url = canvas.toDataURL("image/jpeg", quality);
      if (url.length <= MOST) break;
    }
    this.#send(url);
  }
}
