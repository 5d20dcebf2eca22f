"""Work that may outlive a request: the queue in the database, and the threads that run it."""
