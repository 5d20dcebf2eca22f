"""The database: how it is opened, its column types and functions, and the ways into a transaction."""
