// Samples in and out, on the audio thread. Knows no server and no conversation.

const RATE = 24000;
const TAPS = 24; // each side of a sample, in input samples at the lower rate
const PHASES = 256;
const BLOCK = 480; // 20 ms
const CUSHION = 1440; // 60 ms that wait before a reply begins, against gaps on the way
const FADE = 120; // 5 ms, so that a stop does not click

// A low-pass filter (windowed sinc) between two input samples, tabulated for `PHASES` places between them.
function kernel(cutoff, reach) {
  const rows = [];
  for (let phase = 0; phase <= PHASES; phase++) {
    const row = new Float32Array(2 * reach);
    let sum = 0;
    for (let i = 0; i < 2 * reach; i++) {
      const x = i - reach + 1 - phase / PHASES;
      const sinc = x === 0 ? 1 : Math.sin(Math.PI * cutoff * x) / (Math.PI * cutoff * x);
      const window = Math.cos((Math.PI * x) / (2 * reach + 1)) ** 2;
      row[i] = sinc * window;
      sum += row[i];
    }
    rows.push(row.map((value) => value / sum));
  }
  return rows;
}

// Sound at one rate as sound at another, however much of it comes at a time.
class Resampler {
  constructor(from, to) {
    this.step = from / to;
    this.reach = Math.ceil(TAPS * Math.max(1, this.step));
    this.rows = kernel(0.92 * Math.min(1, to / from), this.reach);
    this.input = new Float32Array(2 * this.reach);
    this.at = this.reach; // where in `input` the next output sample lies
  }

  // Each sample that comes of these is given to `put`.
  feed(samples, put) {
    const joined = new Float32Array(this.input.length + samples.length);
    joined.set(this.input);
    joined.set(samples, this.input.length);
    while (this.at + this.reach < joined.length) {
      const whole = Math.floor(this.at);
      const row = this.rows[Math.round((this.at - whole) * PHASES)];
      let sample = 0;
      for (let i = 0; i < row.length; i++) sample += row[i] * joined[whole - this.reach + 1 + i];
      put(sample);
      this.at += this.step;
    }
    const done = Math.max(0, Math.floor(this.at) - this.reach);
    this.input = joined.slice(done);
    this.at -= done;
  }
}

// The microphone, at whatever rate it has, as blocks of 16 bit samples with their loudness: of 20 ms at 24 kHz,
// until it is told otherwise.
class Capture extends AudioWorkletProcessor {
  constructor() {
    super();
    this.tune({ rate: RATE, block: BLOCK });
    this.port.onmessage = ({ data }) => this.tune(data);
  }

  tune({ rate, block }) {
    this.rate = rate;
    this.resampler = new Resampler(sampleRate, rate);
    this.block = new Int16Array(block);
    this.filled = 0;
    this.power = 0;
  }

  process([channels]) {
    if (channels.length > 0) this.resampler.feed(channels[0], (sample) => this.put(sample));
    return true;
  }

  put(sample) {
    this.block[this.filled++] = Math.round(Math.max(-1, Math.min(1, sample)) * 32767);
    this.power += sample * sample;
    const size = this.block.length;
    if (this.filled < size) return;
    const level = Math.sqrt(this.power / size);
    this.port.postMessage({ samples: this.block, rate: this.rate, level }, [this.block.buffer]);
    this.block = new Int16Array(size);
    this.filled = this.power = 0;
  }
}

// Plays replies in a 24 kHz context, and says how many samples of each were really played.
class Player extends AudioWorkletProcessor {
  constructor() {
    super();
    this.stop();
    this.gain = 0;
    this.played = 0;
    this.item = null;
    this.port.onmessage = ({ data }) => this[data.what](data);
  }

  play({ item, samples, rate }) {
    if (item !== this.item) {
      this.stop();
      this.item = item;
      this.played = 0;
      this.resampler = rate === RATE ? null : new Resampler(rate, RATE);
    }
    if (this.resampler) {
      const made = [];
      this.resampler.feed(samples, (sample) => made.push(sample));
      samples = Float32Array.from(made);
    }
    this.queue.push(samples);
    this.waiting += samples.length;
  }

  pause() {
    this.paused = true;
  }

  resume() {
    this.paused = false;
  }

  // What waits is not played; the answer says how much was.
  flush() {
    this.port.postMessage({ what: "flushed", item: this.item, played: this.played });
    this.stop();
  }

  // No more is to come: what is there is played without a cushion.
  end() {
    this.flowing = this.waiting > 0;
    this.ending = true;
    this.tell();
  }

  stop() {
    this.queue = [];
    this.offset = this.waiting = this.untold = 0;
    this.paused = this.flowing = this.ending = false;
  }

  tell() {
    this.untold = 0;
    const dry = this.waiting === 0 && this.ending;
    this.port.postMessage({ what: "played", item: this.item, played: this.played, dry });
  }

  process(_, [[out]]) {
    if (!this.flowing && this.waiting >= CUSHION) this.flowing = true;
    const target = this.flowing && !this.paused ? 1 : 0;
    let taken = 0;
    for (let i = 0; i < out.length; i++) {
      this.gain += Math.max(-1 / FADE, Math.min(1 / FADE, target - this.gain));
      if (this.gain <= 0 || this.waiting === 0) continue;
      out[i] = (this.queue[0][this.offset++] / 32768) * this.gain;
      if (this.offset === this.queue[0].length) {
        this.queue.shift();
        this.offset = 0;
      }
      this.waiting--;
      taken++;
    }
    if (this.waiting === 0) this.flowing = false;
    this.played += taken;
    this.untold += taken;
    if (this.untold >= BLOCK || (taken > 0 && this.waiting === 0)) this.tell();
    return true;
  }
}

registerProcessor("capture", Capture);
registerProcessor("player", Player);
