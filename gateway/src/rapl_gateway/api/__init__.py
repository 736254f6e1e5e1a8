"""OpenAI's contract over HTTP: routes, forms, uploads, response formats, server-sent events."""
