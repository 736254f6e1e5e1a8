"""RAPL's gateway: serves OpenAI's speech-to-text API and sends each request to the engine of its model."""
