// The fields of a request, as a form and as the code that sends the same one.

import { address } from "../api.js";
import { currentKey } from "../key.js";

export const SUBTITLES = ["srt", "vtt"];
const LABELS = "speaker_labels"; // RAPL's own field: OpenAI's package sends it as an extra one

/** Returns the fields of a transcription. Without speakers they ask for everything that the player shows. */
export function fieldsOf({ model, language, keywords, speakers }) {
  const chosen = { model, response_format: speakers ? "diarized_json" : "verbose_json" };
  if (language) chosen.language = language;
  if (keywords.length) chosen["keywords[]"] = keywords;
  return chosen;
}

/** Returns the fields of the request that answers in a format. Subtitles name speakers if they are asked to. */
export function inFormat(fields, format) {
  const hasSpeakers = fields.response_format === "diarized_json" && SUBTITLES.includes(format);
  return { ...fields, response_format: format, ...(hasSpeakers && { [LABELS]: "true" }) };
}

/** Returns the form that is sent. It asks for subtitles too, so that nothing is transcribed twice for them. */
export function formOf(file, fields) {
  const form = new FormData();
  form.append("include[]", "subtitles");
  for (const [name, value] of Object.entries(fields)) for (const each of [value].flat()) form.append(name, each);
  form.append("file", file, file.name);
  return form;
}

const quoted = (text) => `'${String(text).replaceAll("'", `'\\''`)}'`;

/** Returns the curl command of a request. The key is taken from the environment, so that it is in no history. */
export function curlOf(fileName, fields) {
  const parts = Object.entries(fields).flatMap(([name, value]) => [value].flat().map((each) => `${name}=${each}`));
  const key = currentKey() ? [`-H "Authorization: Bearer $RAPL_API_KEY"`] : [];
  const lines = [
    `curl ${address("v1/audio/transcriptions")}`,
    ...key,
    `-F ${quoted(`file=@${fileName}`)}`,
    ...parts.map((part) => `-F ${quoted(part)}`),
  ];
  return lines.join(" \\\n  ");
}

/** Returns the same request for OpenAI's Python package. */
export function pythonOf(fileName, fields) {
  const text = JSON.stringify;
  const apiKey = currentKey() ? 'os.environ["RAPL_API_KEY"]' : '"none"'; // the package wants one in any case
  const lines = [
    ...(currentKey() ? ["import os", ""] : []),
    "from openai import OpenAI",
    "",
    `client = OpenAI(base_url=${text(address("v1"))}, api_key=${apiKey})`,
    `with open(${text(fileName)}, "rb") as file:`,
    "    transcript = client.audio.transcriptions.create(",
    "        file=file,",
    ...Object.entries(fields).map(([name, value]) => `        ${argumentOf(name, value)},`),
    "    )",
    `print(${["srt", "vtt", "text"].includes(fields.response_format) ? "transcript" : "transcript.text"})`,
  ];
  return lines.join("\n");
}

function argumentOf(name, value) {
  if (name === LABELS) return `extra_body={${JSON.stringify(name)}: ${JSON.stringify(value)}}`;
  return `${name.replace("[]", "")}=${JSON.stringify(value)}`;
}
