"""From speech to turns: windows of audio, voices in them, and the people whose voices they are."""
