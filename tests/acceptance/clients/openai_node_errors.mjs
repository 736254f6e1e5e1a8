// The Node SDK's error for an upload that is refused while it is being sent: BASE_URL KEY FILE -> JSON.
import fs from "node:fs";
import OpenAI from "openai";

const [baseURL, apiKey, file] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
try {
  await client.audio.transcriptions.create({ file: fs.createReadStream(file), model: "whisper-1" });
  console.log(JSON.stringify({ name: "no failure" }));
} catch (error) {
  console.log(JSON.stringify({ name: error.constructor.name, status: error.status, code: error.code }));
}
