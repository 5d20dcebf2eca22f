"""The inbox: webhooks as they came in, each event once, those of unknown sessions kept until the session is known."""
