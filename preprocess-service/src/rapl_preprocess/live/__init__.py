"""Live audio over a WebSocket: resampling, and turns, for many sessions at once."""
