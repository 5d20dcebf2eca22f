"""The HTTP layer: the only folder that knows Flask. What it serves is decided elsewhere."""
