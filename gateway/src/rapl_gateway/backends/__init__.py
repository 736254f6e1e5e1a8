"""The engines: the catalog of models, backends and their replicas, the queue, retries and fallback."""
