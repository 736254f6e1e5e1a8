"""litellm's SDK against a gateway: BASE_URL SAMPLE MODEL; prints what it saw as JSON."""

import json
import sys

import litellm

base_url, sample, model = sys.argv[1:]


def ask(**options):
    with open(sample, "rb") as audio:
        return litellm.transcription(
            model=f"openai/{model}", file=audio, api_base=base_url, api_key="any", max_retries=0, **options
        )


saw = {"default": ask().text, "text": ask(response_format="text").text}
verbose = ask(response_format="verbose_json")
saw["verbose"] = {"text": verbose.text, "duration": verbose.duration, "language": verbose.language}
print(json.dumps(saw))
