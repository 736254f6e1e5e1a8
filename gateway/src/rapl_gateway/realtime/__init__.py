"""OpenAI's realtime transcription over WebSocket: the session, its rules, and the text of each turn."""
