"""RAPL's public face: OpenAI's speech-to-text API, routed by model to the engines behind it."""
