"""Breaks things while the service is under load, and checks that every acknowledgement was kept.

Two gunicorn nodes (behind nginx, where it is installed) on one PostgreSQL, under the mixed load of two tenants, while a
nemesis kills workers, restarts nodes and the database, cuts or slows the provider, sets its clock wrong, and stalls the
storage target. A second provider's plugin raises what ends a process, every second time. Everything that was asked and
answered is a history (``history.py``); the rules of ``checker.py`` hold it against itself: what was acknowledged must
be seen by whoever asks afterwards, at either node. The seed decides on every choice, though not on the order in which
threads get their turn.

    python -m bench.chaos [--seconds 60] [--seed 7] [--history FILE]
"""
