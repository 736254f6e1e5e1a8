"""OpenAI's realtime transcription over WebSocket."""
