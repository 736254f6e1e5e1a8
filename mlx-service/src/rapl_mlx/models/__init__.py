"""The models that can be requested: their states, queues and processes, and which of them stay in memory."""
