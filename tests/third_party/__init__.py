"""Sample plugins, good and bad."""
