// Files made from a transcript that is here already, so that nothing is transcribed twice. The form is the server's own
// for `response_format=text`, `srt`, `vtt` and `verbose_json`. With speakers, subtitles are made here, to name them.

/** Format -> {extension, type, make}; `make` takes a Result. */
export const FORMATS = {
  text: { extension: "txt", type: "text/plain", make: (result) => `${result.text}\n` },
  srt: { extension: "srt", type: "application/x-subrip", make: (result) => result.subtitles?.srt ?? toSrt(result) },
  vtt: { extension: "vtt", type: "text/vtt", make: (result) => result.subtitles?.vtt ?? toVtt(result) },
  json: { extension: "json", type: "application/json", make: (result) => `${JSON.stringify(result.json, null, 2)}\n` },
};

function toSrt(result) {
  const cues = cuesOf(result).map(
    ({ start, end, line }, index) => `${index + 1}\n${clock(start, ",")} --> ${clock(end, ",")}\n${line}\n\n`,
  );
  return `${cues.join("")}\n`;
}

function toVtt(result) {
  const cues = cuesOf(result).map(({ start, end, line }) => `${clock(start, ".")} --> ${clock(end, ".")}\n${line}\n\n`);
  return `WEBVTT\n\n${cues.join("")}`;
}

// A line break would end a cue, and an arrow would break it.
function cuesOf(result) {
  const segments = result.segments.filter((segment) => segment.text.trim());
  return segments.map(({ start, end, text, speaker }) => {
    const line = text.trim().split(/\s+/).join(" ").replaceAll("-->", "->");
    return { start, end, line: speaker ? `${speaker}: ${line}` : line };
  });
}

function clock(seconds, point) {
  const ms = Math.round(Math.max(0, seconds) * 1000);
  const two = (number) => String(Math.floor(number)).padStart(2, "0");
  const rest = String(ms % 1000).padStart(3, "0");
  return `${two(ms / 3600000)}:${two((ms / 60000) % 60)}:${two((ms / 1000) % 60)}${point}${rest}`;
}

/** Saves a text as a file of this computer. */
export function save(name, text, type) {
  const url = URL.createObjectURL(new Blob([text], { type: `${type};charset=utf-8` }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000); // the browser reads it after the click
}

/** Copies a text. Browsers have a clipboard only on secure pages; elsewhere an old command does it. */
export async function copy(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "unseen";
  (document.querySelector("dialog[open]") ?? document.body).append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}
