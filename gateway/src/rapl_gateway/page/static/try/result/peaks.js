// The outline of a recording, without holding it in memory.
//
// A WAV of any length: a few kilobytes are read at each of 600 places. Other formats have to be decoded as a whole,
// which takes 23 MB for each minute of stereo, so they are decoded up to 3 minutes. Longer ones have no outline: the
// caller shows where the text lies.

export const PLACES = 600;
const DECODED_UP_TO_S = 180;
const FRAMES_READ = 4096; // of a place; 0.1 to 0.25 s, enough for the outline of speech
const READ_AT_ONCE_BYTES = 4e6; // a smaller file is read as a whole, which is faster
const DECODED_HZ = 8000;
const HEADER_BYTES = 65536;

/** Returns PLACES numbers from 0 to 1, or null if the recording is too long to decode or cannot be decoded. */
export async function peaksOf(file, durationS) {
  try {
    const wav = await wavOf(file);
    if (wav) return await peaksOfWav(file, wav);
    if (durationS > DECODED_UP_TO_S) return null;
    const context = new OfflineAudioContext(1, 1, DECODED_HZ);
    const audio = await context.decodeAudioData(await file.arrayBuffer());
    return peaksOfSamples(audio.getChannelData(0));
  } catch (error) {
    if (error instanceof DOMException) return null; // the browser does not know the format, or the file was moved
    throw error;
  }
}

/** Returns {offset, frames, channels, bytes, read} of a PCM WAV; null for any other file. */
async function wavOf(file) {
  const head = new DataView(await file.slice(0, HEADER_BYTES).arrayBuffer());
  const name = (at) => String.fromCharCode(...new Uint8Array(head.buffer, at, 4));
  if (head.byteLength < 44 || name(0) !== "RIFF" || name(8) !== "WAVE") return null;
  let format = null;
  for (
    let at = 12;
    at + 24 <= head.byteLength;
    at += 8 + head.getUint32(at + 4, true) + (head.getUint32(at + 4, true) % 2)
  ) {
    if (name(at) === "fmt ") format = formatOf(head, at + 8);
    if (name(at) === "data" && format) {
      const bytes = Math.min(head.getUint32(at + 4, true), file.size - at - 8);
      return { ...format, offset: at + 8, frames: Math.floor(bytes / (format.bytes * format.channels)) };
    }
  }
  return null;
}

const READERS = {
  "1/16": (view, at) => view.getInt16(at, true) / 32768,
  "1/24": (view, at) => view.getInt16(at + 1, true) / 32768, // its upper two bytes
  "1/32": (view, at) => view.getInt32(at, true) / 2147483648,
  "3/32": (view, at) => view.getFloat32(at, true),
};
const EXTENSIBLE = 0xfffe;

function formatOf(head, at) {
  const tag = head.getUint16(at, true);
  const bits = head.getUint16(at + 14, true);
  const kind = tag === EXTENSIBLE ? head.getUint16(at + 24, true) : tag;
  const read = READERS[`${kind}/${bits}`];
  return read ? { read, channels: head.getUint16(at + 2, true), bytes: bits / 8 } : null;
}

async function peaksOfWav(file, { offset, frames, channels, bytes, read }) {
  const size = bytes * channels;
  const perPlace = frames / PLACES;
  const whole =
    frames * size <= READ_AT_ONCE_BYTES ? await file.slice(offset, offset + frames * size).arrayBuffer() : null;
  const peakAt = async (place) => {
    const first = Math.floor(place * perPlace);
    const count = Math.min(FRAMES_READ, Math.max(1, Math.floor(perPlace)), frames - first);
    const [begin, length] = [first * size, count * size];
    const piece = whole ? null : await file.slice(offset + begin, offset + begin + length).arrayBuffer();
    const view = piece ? new DataView(piece) : new DataView(whole, begin, length);
    let peak = 0;
    for (let at = 0; at + size <= view.byteLength; at += size) peak = Math.max(peak, Math.abs(read(view, at)));
    return peak;
  };
  return scaled(Float32Array.from(await Promise.all(Array.from({ length: PLACES }, (_, place) => peakAt(place)))));
}

function peaksOfSamples(samples) {
  const peaks = new Float32Array(PLACES);
  const perPlace = samples.length / PLACES;
  for (let at = 0; at < samples.length; at++) {
    const place = Math.min(PLACES - 1, Math.floor(at / perPlace));
    peaks[place] = Math.max(peaks[place], Math.abs(samples[at]));
  }
  return scaled(peaks);
}

/** The loudest place gets 1, so that a quiet recording can be seen too. */
function scaled(peaks) {
  const most = Math.max(...peaks);
  return most > 0 ? peaks.map((peak) => peak / most) : peaks;
}

/** Returns an outline that says only where the text lies, for a recording without peaks. */
export function outlineOf(segments, durationS) {
  const outline = new Float32Array(PLACES).fill(0.04);
  for (const { start, end } of segments) {
    const last = Math.min(PLACES - 1, Math.ceil((end / durationS) * PLACES));
    for (let place = Math.floor((start / durationS) * PLACES); place < last; place++) outline[place] = 0.5;
  }
  return outline;
}
