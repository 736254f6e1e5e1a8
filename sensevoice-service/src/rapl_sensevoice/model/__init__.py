"""SenseVoice itself: its graph, features, decoding, vocabulary, word times and rich tags."""
