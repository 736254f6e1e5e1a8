"""SenseVoice as a RAPL engine: `python -m rapl_sensevoice` serves it, `prepare-model` downloads its weights."""
