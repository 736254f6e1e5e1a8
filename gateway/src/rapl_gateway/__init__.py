"""RAPL's gateway: OpenAI's speech-to-text API, routed by model to engines."""
