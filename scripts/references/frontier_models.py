"""One model has several names in the tables of vendors' reports; each fact states which it is."""

from __future__ import annotations

# BenchPress' names that do not say which model of a family it is.
RENAMED = {
    "qwen2.5-72b-instruct": "qwen-2.5-72b-instruct",
    "qwen-2.5-32b": "qwen-2.5-32b-instruct",
    "qwen-2.5-7b": "qwen-2.5-7b-instruct",
    "qwen3-235b": "qwen3-235b-a22b",
    "gemma-2-27b": "gemma-2-27b-it",
    "gemma-2-9b": "gemma-2-9b-it",
    "gemma-3-27b": "gemma-3-27b-it",
    "llama-3.1-8b": "llama-3.1-8b-instruct",
    "ministral-8b": "ministral-8b-instruct-2410",
}
# Names of llm-stats and BFCL, and the model that they mean.
SAME = {
    "gpt-3.5-turbo-0125": "gpt-3.5-turbo",
    "deepseek-v2.5": "deepseek-v2.5-0905",
    "gpt-4o-2024-05-13": "gpt-4o-0513",
    "gpt-4o-mini-2024-07-18": "gpt-4o-mini",
    "claude-3-5-sonnet-20241022": "claude-3.5-sonnet",
    "o1-2024-12-17": "o1-high",
    "o3-mini": "o3-mini-high",
    "grok-3": "grok-3-beta",
    "claude-3-7-sonnet-20250219": "claude-3.7-sonnet",
    "gpt-4.1-2025-04-14": "gpt-4.1",
    "gpt-4.1-mini-2025-04-14": "gpt-4.1-mini",
    "gpt-4.1-nano-2025-04-14": "gpt-4.1-nano",
    "o3-2025-04-16": "o3-high",
    "o4-mini": "o4-mini-high",
    "o4-mini-2025-04-16": "o4-mini-high",
    "claude-sonnet-4-20250514": "claude-sonnet-4",
    "claude-opus-4-20250514": "claude-opus-4",
    "gemini-2.5-pro-preview-06-05": "gemini-2.5-pro",
    "gemini-2.5-pro": "gemini-2.5-pro-preview-05-06",
    "gpt-5-2025-08-07": "gpt-5",
    "gpt-5-mini-2025-08-07": "gpt-5-mini",
    "gpt-5-nano-2025-08-07": "gpt-5-nano",
    "kimi-k2-instruct": "kimi-k2",
    "claude-opus-4-1-20250805": "claude-opus-4.1",
    "claude-sonnet-4-5-20250929": "claude-sonnet-4.5",
    "claude-haiku-4-5-20251015": "claude-haiku-4.5",
    "claude-haiku-4-5-20251001": "claude-haiku-4.5",
    "claude-opus-4-5-20251101": "claude-opus-4.5",
    "gpt-5.2-2025-12-11": "gpt-5.2",
    "gemini-3-pro-preview": "gemini-3-pro",
    "grok-4-0709": "grok-4",
    "command a": "command-a",
    "llama-4-maverick-17b-128e-instruct-fp8": "llama-4-maverick",
    "llama-4-scout-17b-16e-instruct": "llama-4-scout",
}
# The board of tau2-bench, by the names of this reference.
TAU2 = {
    "GPT-5": "gpt-5",
    "GPT-5.2": "gpt-5.2",
    "GPT-5.4": "gpt-5.4",
    "GPT-5.5": "gpt-5.5",
    "GPT-4.1": "gpt-4.1",
    "GPT-4.1-mini": "gpt-4.1-mini",
    "o3": "o3-high",
    "o4-mini": "o4-mini-high",
    "Claude-3.7-Sonnet": "claude-3.7-sonnet",
    "Claude Opus 4.5": "claude-opus-4.5",
    "Claude Opus 4.6": "claude-opus-4.6",
    "Claude Opus 4.7": "claude-opus-4.7",
    "Claude Sonnet 4.5": "claude-sonnet-4.5",
    "Gemini 3 Flash": "gemini-3-flash",
    "Gemini 3 Pro": "gemini-3-pro",
    "Gemini 3.1 Pro Preview": "gemini-3.1-pro",
    "GLM-5": "glm-5",
    "Grok 4.1 fast": "grok-4.1-fast",
    "Qwen3.5-397B-A17B": "qwen3.5-397b",
}
# Two rows of one model that disagree, of which the other one states its methods.
LEFT_OUT = {"kimi-k2-0905"}
# Dates that a table gives for an earlier model of the same name; here no day is stated.
DATES = {
    "deepseek-v3.1": "2025",
    "gemini-1.5-flash-8b": "2024",
    "command-r-plus-04-2024": "2024-04",
}
BASE_MODELS = {
    *("kimi-k2-base", "gemma-3n-e2b", "gemma-3n-e4b", "granite-3.3-8b-base"),
    *("mistral-small-24b-base-2501", "mistral-small-3.1-24b-base-2503"),
    "qwen3-next-80b-a3b-base",
}
THINKING = {
    *("deepseek-r1", "deepseek-r1-0528", "deepseek-r1-distill-llama-70b", "deepseek-r1-zero"),
    *("deepseek-r1-distill-llama-8b", "deepseek-r1-distill-qwen-1.5b", "deepseek-v3.2-exp"),
    *("deepseek-r1-distill-qwen-14b", "deepseek-r1-distill-qwen-32b"),
    *("deepseek-r1-distill-qwen-7b", "gemini-2.0-flash-thinking", "gemini-2.5-flash"),
    *("gemini-2.5-flash-lite", "gemini-2.5-pro", "gemini-2.5-pro-preview-05-06", "glm-4.5"),
    *("glm-4.5-air", "glm-4.5v", "glm-4.6", "gpt-5", "gpt-5-codex-2025-09-15", "gpt-5-mini"),
    *("gpt-5-nano", "gpt-oss-120b", "gpt-oss-20b", "grok-3-mini", "grok-4", "grok-4-fast"),
    *("grok-4-heavy", "grok-code-fast-1", "kimi-k1.5", "magistral-medium", "claude-opus-4"),
    *("magistral-small-2506", "nvidia-nemotron-nano-9b-v2", "o1-high", "o1-mini", "o1-preview"),
    *("o1-pro", "o3-high", "o3-mini-high", "o3-pro-2025-06-10", "o4-mini-high"),
    *("phi-4-mini-reasoning", "phi-4-reasoning", "phi-4-reasoning-plus", "qvq-72b-preview"),
    *("qwen3-235b-a22b", "qwen3-235b-a22b-thinking-2507", "qwen3-30b-a3b", "qwen3-32b"),
    *("qwen3-next-80b-a3b-thinking", "qwq-32b", "qwq-32b-preview", "claude-3.7-sonnet"),
    *("claude-opus-4.1", "claude-sonnet-4.5", "claude-haiku-4.5", "claude-opus-4.5"),
    *("gpt-5.2", "gemini-3-pro", "llama-3.1-nemotron-nano-8b-v1", "qwen3-8b"),
    *("llama-3.1-nemotron-ultra-253b-v1", "llama-3.3-nemotron-super-49b-v1"),
}
PROVIDERS = {
    "openai": "OpenAI",
    "anthropic": "Anthropic",
    "google": "Google",
    "meta": "Meta",
    "mistral": "Mistral",
    "cohere": "Cohere",
    "deepseek": "DeepSeek",
    "zai-org": "Zhipu AI",
    "ibm": "IBM",
    "xai": "xAI",
    "ai21": "AI21 Labs",
    "moonshotai": "Moonshot AI",
    "nvidia": "NVIDIA",
    "amazon": "Amazon",
    "microsoft": "Microsoft",
    "qwen": "Alibaba",
}
