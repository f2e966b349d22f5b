"""A server that answers as OpenAI's completions and chat completions do, from a real small model.

https://platform.openai.com/docs/api-reference/completions/create
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from threading import Lock, Thread
from typing import Any


@dataclass
class CompletionsServer:
    """The address, and what was asked of it.

    Attributes
    ----------
    url : str
        Of the API, without the name of what is asked.
    prompts : list
        Every prompt that was answered, in order.
    dies_after : int, optional
        Answers no more once so many prompts are.

    """

    url: str
    prompts: list[str] = field(default_factory=list)
    dies_after: int | None = None


@contextmanager
def completions_server(checkpoint: Path) -> Iterator[CompletionsServer]:
    """Serve a checkpoint on this machine's own network."""
    import transformers

    model = transformers.AutoModelForCausalLM.from_pretrained(checkpoint, dtype="float32").eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(checkpoint)
    lock = Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:
                if state.dies_after is not None and len(state.prompts) >= state.dies_after:
                    self.send_error(503)
                    return
                prompts = asked["messages"] if "messages" in asked else asked["prompt"]
                if "messages" in asked:
                    prompts = [_ids(tokenizer, " ".join(m["content"] for m in prompts))]
                elif isinstance(prompts, str):
                    prompts = [_ids(tokenizer, prompts)]
                choices = [
                    {"index": i, **_choice(model, tokenizer, prompt, asked)}
                    for i, prompt in enumerate(prompts)
                ]
                state.prompts += [json.dumps(prompt) for prompt in prompts]
            body = json.dumps({"choices": choices}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state = CompletionsServer(f"http://127.0.0.1:{server.server_address[1]}/v1")
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _ids(tokenizer: Any, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


@cache
def _spelled(tokenizer: Any, token: int) -> str:
    return str(tokenizer.decode(token))


def _choice(model: Any, tokenizer: Any, prompt: list[int], asked: dict[str, Any]) -> dict[str, Any]:
    import torch

    with torch.no_grad():
        if asked.get("echo") and asked["max_tokens"] == 1:  # one pass is enough
            given = torch.tensor(prompt)
            logits = model(given[None]).logits[0]
            out = torch.cat((given, logits[-1:].argmax(-1)))
            return _echoed(tokenizer, out, torch.log_softmax(logits, dim=-1))
        out = model.generate(
            torch.tensor([prompt]),
            attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
            max_new_tokens=min(asked["max_tokens"], 8),
            do_sample=False,
        )[0]
        text = tokenizer.decode(out[len(prompt) :], skip_special_tokens=True)
        if "messages" in asked:
            return {"message": {"role": "assistant", "content": text}}
        if not asked.get("echo"):
            return {"text": text}
        return _echoed(tokenizer, out, torch.log_softmax(model(out[None]).logits[0, :-1], dim=-1))


def _echoed(tokenizer: Any, out: Any, rows: Any) -> dict[str, Any]:
    """Return a text with the log-probabilities of each of its tokens behind the first."""
    own = rows.gather(1, out[1:, None])[:, 0].tolist()
    best = [{"": value} for value in rows.amax(dim=1).tolist()]
    text = tokenizer.decode(out)
    tokens = [_spelled(tokenizer, token) for token in out.tolist()]
    # Tokens with a part of a character stay as they are; of whole ones each has a space before it.
    if "".join(tokens) != text and "\ufffd" not in "".join(tokens):
        whole = [tokenizer.decode(out[:n]) for n in range(len(out) + 1)]
        tokens = [b[len(a) :] for a, b in pairwise(whole)]
    return {
        "text": text,
        "logprobs": {
            "tokens": tokens,
            "token_logprobs": [None, *own],
            "top_logprobs": [None, *best],
        },
    }
