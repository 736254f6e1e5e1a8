"""OpenAI's API over HTTP: routes, forms, uploads, response formats, server-sent events."""
