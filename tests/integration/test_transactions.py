"""The ways into the database: what belongs to a transaction, and what a failure leaves of it."""

from contextlib import suppress
from functools import partial

import pytest
from sqlalchemy import func, insert, select
from sqlalchemy.exc import IntegrityError, PendingRollbackError

from tests.support.service import ON_POSTGRESQL
from videoconf.audit import AuditEntry
from videoconf.db.transactions import entities, read, statements, write
from videoconf.db.types import db
from videoconf.errors import InternalError

ENTRIES = AuditEntry.__table__
atomic = partial(statements, atomic=True)


@pytest.fixture(autouse=True)
def context(app):
    with app.app_context():
        yield


def note(transaction, action):
    transaction.execute(insert(ENTRIES), {"tenant": "t", "actor": "a", "action": action})


def note_as_entity(transaction, action):
    with entities(transaction) as session:
        session.add(AuditEntry(tenant="t", actor="a", action=action))


def noted():
    with read() as session:
        return list(session.execute(select(AuditEntry.action).order_by(AuditEntry.id)).scalars())


@pytest.mark.parametrize("block", [atomic, write])
def test_block_is_stored_at_its_end_and_not_before(block):
    with block() as transaction:
        note(transaction, "one")
        note_as_entity(transaction, "two")
        note(transaction, "three")
        with db.engine.connect() as other:
            assert other.scalar(select(func.count()).select_from(ENTRIES)) == 0
    assert noted() == ["one", "two", "three"]


@pytest.mark.parametrize("block", [atomic, write])
def test_failing_block_stores_nothing(block):
    def fail():
        with block() as transaction:
            note(transaction, "one")
            note_as_entity(transaction, "two")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert noted() == []
    with block() as transaction:
        note(transaction, "afterwards")
    assert noted() == ["afterwards"]


def test_entities_and_transaction_see_each_others_changes():
    with atomic() as transaction:
        note(transaction, "made")
        with entities(transaction) as session:
            entry = session.execute(select(AuditEntry)).scalar_one()
            entry.action = "changed"
        assert transaction.scalar(select(ENTRIES.c.action)) == "changed"
    assert noted() == ["changed"]


@pytest.mark.parametrize("block", [atomic, write])
def test_suppressed_failure_of_entities_still_fails_the_block(block):
    def go_on():
        with block() as transaction:
            note(transaction, "one")
            with suppress(IntegrityError), entities(transaction) as session:
                session.add(AuditEntry(tenant="t", actor="a", action=None))

    with pytest.raises((InternalError, PendingRollbackError)):
        go_on()
    assert noted() == []


@ON_POSTGRESQL
def test_snapshot_sees_one_moment_and_a_plain_read_does_not():
    def count_around_a_write(**options):
        with read(**options) as session:
            session.scalar(select(func.count()).select_from(ENTRIES))
            with db.engine.begin() as other:
                note(other, "meanwhile")
            return session.scalar(select(func.count()).select_from(ENTRIES))

    assert count_around_a_write(snapshot=True) == 0
    assert count_around_a_write() == 2


def test_snapshot_within_a_write_sees_the_written_rows():
    with write() as session:
        note(session, "one")
        with read(snapshot=True) as inner:
            assert inner.scalar(select(func.count()).select_from(ENTRIES)) == 1
    assert noted() == ["one"]
