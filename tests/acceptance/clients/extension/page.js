async function transcribe() {
  const form = new FormData();
  const wanted = new URLSearchParams(location.search);
  form.append("model", wanted.get("model"));
  form.append("file", await (await fetch("speech.wav")).blob(), "speech.wav");
  const headers = { authorization: "Bearer any" }; // so that the browser sends a preflight request
  const endpoint = `${wanted.get("gateway")}/v1/audio/transcriptions`;
  const answer = await fetch(endpoint, { method: "POST", headers, body: form });
  return { status: answer.status, body: await answer.json(), headers: Object.fromEntries(answer.headers) };
}

transcribe()
  .catch((error) => ({ error: error.name }))
  .then((shown) => (document.getElementById("answer").textContent = JSON.stringify(shown)));
