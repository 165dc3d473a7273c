// G.711 mu-law: 8 bits for 16, as telephones have it. Knows no rate and no wire.

const BIAS = 132;
const LOUDEST = 32635;

// Of 8 bits each 16 bit sample: its sign, how many doublings of 256 it has, and four bits of what is over.
export function compressed(samples) {
  return Uint8Array.from(samples, (sample) => {
    const size = Math.min(Math.abs(sample), LOUDEST) + BIAS;
    const doublings = 24 - Math.clz32(size);
    const code = (sample < 0 ? 0x80 : 0) | (doublings << 4) | ((size >> (doublings + 3)) & 0x0f);
    return ~code & 0xff;
  });
}

export function expanded(bytes) {
  return Int16Array.from(bytes, (byte) => {
    const code = ~byte & 0xff;
    const size = ((((code & 0x0f) << 3) + BIAS) << ((code >> 4) & 7)) - BIAS;
    return code & 0x80 ? -size : size;
  });
}
