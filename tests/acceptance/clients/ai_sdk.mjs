// The Vercel AI SDK against a gateway: node ai_sdk.mjs BASE_URL SAMPLE MODEL -> its results as JSON.
import fs from "node:fs";
import { createOpenAI } from "@ai-sdk/openai";
import * as ai from "ai";

const [baseURL, sample, model] = process.argv.slice(2);
const openai = createOpenAI({ baseURL, apiKey: "any" });
const transcribe = ai.transcribe ?? ai.experimental_transcribe;
const audio = fs.readFileSync(sample);
const results = {};

const { text, language, durationInSeconds } = await transcribe({ model: openai.transcription(model), audio });
results.plain = { text, language, durationInSeconds };

// For a Whisper model it requests verbose_json with segments, and validates every field.
const whisper = await transcribe({ model: openai.transcription("whisper-1"), audio, maxRetries: 0 }).catch((e) => e);
results.whisper = whisper instanceof Error ? { error: whisper.message } : { text: whisper.text, segments: whisper.segments };

const granular = await transcribe({
  model: openai.transcription(model),
  audio,
  providerOptions: { openai: { timestampGranularities: ["word"] } },
});
results.words = granular.segments;

try {
  await transcribe({ model: openai.transcription("no/such"), audio, maxRetries: 0 });
  results.unknownModel = "no failure";
} catch (error) {
  results.unknownModel = { status: error.statusCode, message: error.message };
}
console.log(JSON.stringify(results));
