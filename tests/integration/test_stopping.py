"""Stopping and dying: what was accepted is finished, and what was cut off is continued by another worker."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import urllib3
from sqlalchemy import select, update

from tools.vonage_standin import faults
from videoconf.api.services import services
from videoconf.db.functions import utc_in
from videoconf.db.transactions import read, write
from videoconf.jobs.models import Job
from videoconf.jobs.queue import enqueue
from videoconf.jobs.work import Work


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_running_call_is_answered_when_the_server_stops(
    gunicorn_server,
    make_vonage_standin,
    app,
    headers,
):
    standin = make_vonage_standin("opentok")
    standin.faults.add("POST", "/session/create", faults.latency(2.0))
    server = gunicorn_server(
        VIDEOCONF_PROVIDERS="vonage",
        VIDEOCONF_VONAGE_API_URL=standin.url,
        VIDEOCONF_VONAGE_API_KEY=standin.account,
        VIDEOCONF_VONAGE_API_SECRET=standin.secret,
        VIDEOCONF_VONAGE_SIGNATURE_SECRETS="a-signature-secret-of-more-than-32-bytes",
        VIDEOCONF_DEVELOPMENT="true",
    )
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(urllib3.request, "POST", f"{server.url}/session", headers=headers(), timeout=20)
        deadline = time.monotonic() + 10
        while not standin.received and time.monotonic() < deadline:
            time.sleep(0.02)
        server.process.terminate()
        assert answer.result().status == 200
    assert server.process.wait(30) == 0
    link = answer.result().data.decode().strip('"')
    assert app.test_client().get(f"/session/{link}", headers=headers()).status_code == 200


WORKER = textwrap.dedent("""
    import os, sys, time
    from videoconf.app import create_app
    from videoconf.api.services import services
    from videoconf.jobs.work import Work

    app = create_app(serving=False)
    step = sys.argv[1]
    with app.app_context():
        jobs = services(app).jobs
        jobs.declare(Work("job", lambda payload: step == "in the handler" and os.kill(os.getpid(), 9)))
        job = jobs.claim()
        if step == "after the claim":
            os.kill(os.getpid(), 9)
        if step == "after the handler":
            jobs._finish = lambda *args, **kwargs: os.kill(os.getpid(), 9)
        jobs.run(job)
        print("finished", flush=True)
""")


@pytest.mark.parametrize("step", ["after the claim", "in the handler", "after the handler"])
def test_a_job_of_a_worker_that_was_killed_is_run_by_another(app, database_url, fake_settings, step):
    with app.app_context():
        jobs = services(app).jobs
        with write() as session:
            job_id = enqueue(session, "job", {})
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("VIDEOCONF_")},
        **fake_settings,
        "VIDEOCONF_PROVIDERS": "fake",
        "VIDEOCONF_DATABASE_URL": database_url,
    }
    killed = subprocess.run(
        [sys.executable, "-c", WORKER, step], env=environment, capture_output=True, text=True, check=False
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert "finished" not in killed.stdout

    handled = []
    with app.app_context():
        jobs.declare(Work("job", handled.append))
        jobs.run_due()
        assert handled == [], "its lease lasts"
        with write() as session:
            session.execute(update(Job).where(Job.id == job_id).values(lease_until=utc_in(-1)))
        jobs.run_due()
        with read() as session:
            job = session.execute(select(Job).where(Job.id == job_id)).scalar_one()
    assert handled == [{}]
    assert (job.state, job.attempts, job.lease_owner) == ("done", 2, None)


def test_a_worker_that_lost_its_lease_cannot_finish_the_job(app):
    with app.app_context():
        jobs = services(app).jobs
        jobs.declare(Work("job", lambda payload: None))
        with write() as session:
            job_id = enqueue(session, "job", {})
        slow = jobs.claim()
        with write() as session:
            session.execute(update(Job).where(Job.id == job_id).values(lease_until=utc_in(-1)))
        fast = jobs.claim()
        jobs.run(slow)
        with read() as session:
            job = session.execute(select(Job).where(Job.id == job_id)).scalar_one()
        assert (job.state, job.lease_owner) == ("pending", fast.owner)
        jobs.run(fast)
        with read() as session:
            assert session.execute(select(Job.state).where(Job.id == job_id)).scalar_one() == "done"
