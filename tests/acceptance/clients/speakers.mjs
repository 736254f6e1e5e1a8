// openai-node's and the AI SDK's calls for speakers: node speakers.mjs BASE_URL SAMPLE -> their results as JSON.
import fs from "node:fs";
import { createOpenAI } from "@ai-sdk/openai";
import * as ai from "ai";
import OpenAI from "openai";

const [baseURL, sample] = process.argv.slice(2);
const model = "gpt-4o-transcribe-diarize";
const client = new OpenAI({ baseURL, apiKey: "any", maxRetries: 0 });
const results = {};

const request = () => ({
  file: fs.createReadStream(sample),
  model,
  response_format: "diarized_json",
  chunking_strategy: "auto",
});
results.node = await client.audio.transcriptions.create(request());

results.events = [];
for await (const event of await client.audio.transcriptions.create({ ...request(), stream: true })) {
  results.events.push(event);
}

const clip = `data:audio/wav;base64,${fs.readFileSync(sample).toString("base64")}`;
results.known = await client.audio.transcriptions.create({
  ...request(),
  known_speaker_names: ["agent"],
  known_speaker_references: [clip],
});

const transcribe = ai.transcribe ?? ai.experimental_transcribe;
const openai = createOpenAI({ baseURL, apiKey: "any" });
const { text, segments, durationInSeconds, providerMetadata, warnings } = await transcribe({
  model: openai.transcription(model),
  audio: fs.readFileSync(sample),
  maxRetries: 0,
});
results.ai = { text, segments, durationInSeconds, speakers: providerMetadata?.openai?.segments, warnings };

console.log(JSON.stringify(results));
