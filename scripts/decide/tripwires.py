"""Alarms at scores that the others contradict, with and without planted faults."""

from __future__ import annotations

from argparse import Namespace

import tripwire_table


def print_table(arguments: Namespace) -> None:
    """Print the table of the references; see ``scripts/tripwire_table.py`` for the faults."""
    tripwire_table.print_table(arguments.reference or list(tripwire_table.REFERENCES))
