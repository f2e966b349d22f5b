"""Texts are generated for many requests that share their prompts."""
