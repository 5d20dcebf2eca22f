"""The commands of ``videoconf``, one module for each.

A module imports at its top only what ``--help`` needs. What a command itself needs is imported when it runs, so that
commands start quickly.
"""
