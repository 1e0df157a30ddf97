"""The one base class of errors that a person can act on; the command line prints them as a single line."""

from __future__ import annotations


class UserError(Exception):
    """Something outside the code is wrong. The message names it and the remedy, in one line."""
