"""Meetings: made, joined, edited, ended, deleted."""
