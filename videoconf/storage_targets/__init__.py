"""A tenant's storage targets: which one is in force, how it is changed, and how its credentials are encrypted."""
