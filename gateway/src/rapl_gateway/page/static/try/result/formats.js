// Files made from a transcript that is here already, so that nothing is transcribed twice. The form is the server's own
// for `response_format=text`, `srt`, `vtt`, and `verbose_json` or `diarized_json`.

/** Format -> {extension, type, make}; `make` takes a Result. */
export const FORMATS = {
  text: { extension: "txt", type: "text/plain", make: (result) => `${result.text}\n` },
  srt: { extension: "srt", type: "application/x-subrip", make: (result) => result.subtitles.srt },
  vtt: { extension: "vtt", type: "text/vtt", make: (result) => result.subtitles.vtt },
  json: { extension: "json", type: "application/json", make: (result) => `${JSON.stringify(result.json, null, 2)}\n` },
};

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
