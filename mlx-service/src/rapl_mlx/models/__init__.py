"""The models that may be requested: their states, their queues, and which stay in memory."""
