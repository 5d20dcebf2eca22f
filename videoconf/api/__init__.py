"""The HTTP layer: the only folder that uses Flask. It contains no domain logic."""
