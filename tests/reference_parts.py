"""A folder of one's own reference, as many tests write it."""

ABOUT = """name: mine
title: My scores
kind: single-protocol
date: 2025-06-30
version: "1"
licence: CC-BY-4.0
attribution: me
"""
