"""Archives: recordings of meetings, and the storage targets they go to."""
