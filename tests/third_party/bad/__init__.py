"""Plugins that are broken, each in one way. None is imported from here."""
