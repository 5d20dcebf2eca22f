"""How gunicorn serves the application: its threaded worker, with connections balanced and hostile clients bounded."""

from videoconf.serving.worker import BalancedWorker

__all__ = ["BalancedWorker"]
