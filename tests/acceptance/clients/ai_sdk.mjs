// The Vercel AI SDK against a gateway: node ai_sdk.mjs BASE_URL SAMPLE MODEL -> what it saw, as JSON.
import fs from "node:fs";
import { createOpenAI } from "@ai-sdk/openai";
import * as ai from "ai";

const [baseURL, sample, model] = process.argv.slice(2);
const openai = createOpenAI({ baseURL, apiKey: "any" });
const transcribe = ai.transcribe ?? ai.experimental_transcribe;
const audio = fs.readFileSync(sample);
const saw = {};

const { text, language, durationInSeconds } = await transcribe({ model: openai.transcription(model), audio });
saw.plain = { text, language, durationInSeconds };

// It asks for verbose_json with segments when it takes the model for Whisper, and checks every field.
const whisper = await transcribe({ model: openai.transcription("whisper-1"), audio, maxRetries: 0 }).catch((e) => e);
saw.whisper = whisper instanceof Error ? { error: whisper.message } : { text: whisper.text, segments: whisper.segments };

const granular = await transcribe({
  model: openai.transcription(model),
  audio,
  providerOptions: { openai: { timestampGranularities: ["word"] } },
});
saw.words = granular.segments;

try {
  await transcribe({ model: openai.transcription("no/such"), audio, maxRetries: 0 });
  saw.unknownModel = "no failure";
} catch (error) {
  saw.unknownModel = { status: error.statusCode, message: error.message };
}
console.log(JSON.stringify(saw));
