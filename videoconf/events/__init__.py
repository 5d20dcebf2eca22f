"""What happened, for callers' own systems: recorded as changes, projected into a log, pushed to subscriptions."""
