// The official Node SDK against a gateway: node openai_node.mjs BASE_URL SAMPLE MODEL -> its results as JSON.
import fs from "node:fs";
import OpenAI, { toFile } from "openai";

const [baseURL, sample, model] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey: "any", maxRetries: 0 });
const { transcriptions } = client.audio;
const bytes = fs.readFileSync(sample);
const results = {};

results.readStream = (await transcriptions.create({ file: fs.createReadStream(sample), model })).text;
results.buffer = (await transcriptions.create({ file: await toFile(bytes), model })).text;
for (const response_format of ["text", "srt", "vtt"]) {
  results[response_format] = await transcriptions.create({ file: fs.createReadStream(sample), model, response_format });
}
results.verbose = await transcriptions.create({
  file: fs.createReadStream(sample),
  model,
  response_format: "verbose_json",
  timestamp_granularities: ["segment"],
});

results.events = [];
for await (const event of await transcriptions.create({ file: fs.createReadStream(sample), model, stream: true })) {
  results.events.push(event);
}

results.models = [];
for await (const found of client.models.list()) results.models.push(found.id);
results.retrieved = (await client.models.retrieve(model)).id;

const { data, response } = await transcriptions.create({ file: fs.createReadStream(sample), model }).withResponse();
results.requestId = response.headers.get("x-request-id");
results.sameRequestId = data._request_id === results.requestId;

async function failure(promise) {
  try {
    await promise;
    return "no failure";
  } catch (error) {
    const { status, code, param, requestID } = error;
    return { name: error.constructor.name, status, code, param, message: error.message, hasRequestId: Boolean(requestID) };
  }
}
results.unknownModel = await failure(transcriptions.create({ file: fs.createReadStream(sample), model: "no/such" }));
results.undecodable = await failure(transcriptions.create({ file: await toFile(new Uint8Array(1024), "probe.wav"), model }));

console.log(JSON.stringify(results));
