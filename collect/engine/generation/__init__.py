"""Texts, generated for many requests that share their prompts."""
