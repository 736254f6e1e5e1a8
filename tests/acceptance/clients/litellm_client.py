"""litellm's SDK against a gateway: BASE_URL SAMPLE MODEL; prints its results as JSON."""

import json
import sys

import litellm

base_url, sample, model = sys.argv[1:]


def transcribe(**options):
    with open(sample, "rb") as audio:
        return litellm.transcription(
            model=f"openai/{model}", file=audio, api_base=base_url, api_key="any", max_retries=0, **options
        )


results = {"default": transcribe().text, "text": transcribe(response_format="text").text}
verbose = transcribe(response_format="verbose_json")
results["verbose"] = {"text": verbose.text, "duration": verbose.duration, "language": verbose.language}
print(json.dumps(results))
