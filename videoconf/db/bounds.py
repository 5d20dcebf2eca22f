"""Settings of each session with PostgreSQL: its timeouts and its time zone."""

BOUNDS = {"statement_timeout": "3s", "lock_timeout": "1s", "idle_in_transaction_session_timeout": "10s"}
"""The longest waits of a session. Poolers refuse the start-up parameter ``options``, so each session sets them itself;
where a session lasts for one transaction, they are the role's."""
TIME_ZONE = "UTC"
WRONG_TIME_ZONE = "the session is not in UTC"
UTC_NAMES = ("UTC", "Etc/UTC", "GMT")
