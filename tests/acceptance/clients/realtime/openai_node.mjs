// OpenAI's Node SDK on /v1/realtime: node openai_node.mjs BASE_URL KEY MODELS FILE... -> its turns as JSON, by model,
// class and mode. It always speaks TLS. All sessions run at once.
import OpenAI from "openai";
import { OpenAIRealtimeWebSocket } from "openai/realtime/websocket";
import { OpenAIRealtimeWS } from "openai/realtime/ws";
import { session, speak, Turns } from "./turns.mjs";

const [baseURL, apiKey, models, ...files] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey });
const connect = {
  OpenAIRealtimeWS: () => new OpenAIRealtimeWS({ intent: "transcription" }, client),
  OpenAIRealtimeWebSocket: () => new OpenAIRealtimeWebSocket({ intent: "transcription" }, client),
};
const DETECTION = { client: null, server: { type: "server_vad" } };

async function run(model, kind, mode) {
  const realtime = connect[kind]();
  const turns = new Turns();
  realtime.on("event", (event) => turns.take(event));
  realtime.on("error", (error) => turns.fail(error.message));
  await new Promise((resolve, reject) => {
    realtime.socket.addEventListener("open", resolve);
    realtime.socket.addEventListener("error", reject);
  });
  realtime.send({ type: "session.update", session: session(model, DETECTION[mode]) });
  const completed = await speak(files, mode, turns, (event) => realtime.send(event));
  realtime.close();
  return completed;
}

const results = {};
const running = [];
for (const model of models.split(",")) {
  for (const kind of Object.keys(connect)) {
    for (const mode of Object.keys(DETECTION)) {
      running.push(run(model, kind, mode).then((turns) => (((results[model] ??= {})[kind] ??= {})[mode] = turns)));
    }
  }
}
await Promise.all(running);
console.log(JSON.stringify(results));
