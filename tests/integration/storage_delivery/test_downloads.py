"""Downloads from the provider's own storage."""

import io
import threading
from contextlib import closing

import pytest

from tests.integration.storage_delivery.world import database_dump, get
from tests.support.service import ON_SQLITE
from videoconf.api.services import services
from videoconf.providers import ArchiveStatus
from videoconf_fake.media import Media
from videoconf_fake.media_server import MediaServer


@ON_SQLITE
@pytest.mark.needs("archiving", "archive_downloads")
def test_download_at_the_provider_uses_a_fresh_url(make_world, monkeypatch):
    monkeypatch.setenv("VIDEOCONF_FAKE_MEDIA_URL", "http://127.0.0.1:1")
    world = make_world()
    provider = services(world.app).providers.get("fake").plugin
    archive_id = world.record()
    assert world.api("GET", f"/archives/{archive_id}/download").problem == (409, "archive_not_downloadable")
    world.become(archive_id, ArchiveStatus.AVAILABLE)
    content = world.content(archive_id)
    with MediaServer(provider) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        url = world.url(archive_id).replace("127.0.0.1:1", f"127.0.0.1:{server.server_port}")
        assert get(url).data == content
        part = get(url, Range="bytes=10-19")
        assert (part.status, part.data) == (206, content[10:20])
        assert get(url[:-1] + "x").status == 403
        world.clock.step(minutes=11)
        assert get(url).status == 403, "it has expired"
        fresh = world.url(archive_id)
        assert fresh.partition("?")[2] != url.partition("?")[2]
        server.shutdown()
        thread.join()
    assert "signature=" not in database_dump(world)


@ON_SQLITE
@pytest.mark.needs("archiving", "archive_downloads")
def test_invalid_url_of_the_provider_answers_502(make_world):
    world = make_world()
    archive_id = world.record()
    world.become(archive_id, ArchiveStatus.AVAILABLE)
    assert world.api("GET", f"/archives/{archive_id}/download").problem == (409, "archive_not_downloadable")
    assert world.api("GET", "/archives/absent/download").problem == (404, "archive_not_found")


def test_media_bytes_do_not_depend_on_the_read_position():
    with closing(Media("fa_1", 3_000_000)) as media:
        whole = io.BufferedReader(media).read()
    assert len(whole) == 3_000_000
    with closing(Media("fa_1", 3_000_000)) as media:
        for at in (0, 5, 1 << 20, (1 << 20) + 3, 2_999_999):
            media.seek(at)
            assert media.read(10) == whole[at : at + 10]
