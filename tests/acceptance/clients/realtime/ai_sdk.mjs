// The Vercel AI SDK on /v1/realtime: node ai_sdk.mjs HTTP_URL HTTPS_URL KEY MODEL NAME FILE... -> its turns as JSON.
// Streams are only possible for models that the SDK knows, so NAME is what the gateway calls the model there.
import fs from "node:fs";
import { createOpenAI } from "@ai-sdk/openai";
import { experimental_streamTranscribe as streamTranscribe } from "ai";
import { pieces, Turns } from "./turns.mjs";

const [http, https, apiKey, model, name, ...files] = process.argv.slice(2);
const inputAudioFormat = { type: "audio/pcm", rate: 24000 };
const results = {};

/** One stream is one turn, which the SDK commits when its audio ends. */
async function stream(audio) {
  const openai = createOpenAI({ baseURL: http, apiKey });
  const result = streamTranscribe({ model: openai.transcription(name), audio, inputAudioFormat });
  let deltas = "";
  const finals = [];
  for await (const part of result.fullStream) {
    if (part.type === "transcript-delta") deltas += part.delta;
    if (part.type === "transcript-final") finals.push(part.text);
  }
  return { transcript: await result.text, deltas, finals };
}

/** A server makes a client secret with its key; the page opens the session with the secret alone. */
async function page() {
  const { experimental_realtime: realtime } = createOpenAI({ baseURL: https, apiKey });
  const given = await realtime.getToken({ model, expiresAfterSeconds: 60 });
  const onPage = realtime(model);
  const { url, protocols } = onPage.getWebSocketConfig(given);
  const socket = new WebSocket(url, protocols);
  const turns = new Turns();
  const send = (event) => socket.send(JSON.stringify(onPage.serializeClientEvent(event, { intent: "transcription" })));
  socket.addEventListener("error", () => turns.fail("the connection failed"));
  socket.addEventListener("message", ({ data }) => {
    const event = onPage.parseServerEvent(JSON.parse(data));
    if (event.type === "error") turns.fail(event.message);
    turns.take(event.raw);
  });
  await new Promise((resolve) => socket.addEventListener("open", resolve));
  send({ type: "session-update", config: { inputAudioFormat, turnDetection: { type: "server-vad" } } });
  for (const file of files) {
    for await (const piece of pieces(file)) send({ type: "input-audio-append", audio: piece.toString("base64") });
  }
  await turns.count(files.length);
  send({ type: "input-audio-commit" });
  const completed = await turns.count(files.length + 1);
  socket.close();
  return { protocol: socket.protocol, turns: completed };
}

const atOnce = (file) => new Blob([fs.readFileSync(file)]).stream();
[results.spoken, results.atOnce, results.page] = await Promise.all([
  Promise.all(files.map((file) => stream(ReadableStream.from(pieces(file))))),
  Promise.all(files.map((file) => stream(atOnce(file)))),
  page(),
]);
console.log(JSON.stringify(results));
