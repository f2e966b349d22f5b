"""A model behind an OpenAI-compatible server is measured over HTTP, once the server is checked."""
