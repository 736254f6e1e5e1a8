"""The SenseVoice model: its graph, features, decoding, vocabulary, word times and rich tags."""
