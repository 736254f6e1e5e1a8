"""Who speaks when: `python -m rapl_speakers` serves it, `prepare-speakers` downloads the weights it needs."""
