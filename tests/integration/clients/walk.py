"""A meeting's life by the client that openapi-python-client makes, without a cast or a suppressed error."""

import json
import os
import time
import urllib.request
from datetime import UTC, datetime

from client import AuthenticatedClient
from client.api.video_chat_archive_controller import (
    video_chat_archive_controller_download_archive as download_archive,
)
from client.api.video_chat_archive_controller import (
    video_chat_archive_controller_get_archive as get_archive,
)
from client.api.video_chat_archive_controller import (
    video_chat_archive_controller_start_archive as start_archive,
)
from client.api.video_chat_archive_controller import (
    video_chat_archive_controller_stop_archive as stop_archive,
)
from client.api.video_chat_session_controller import (
    video_chat_session_controller_edit_meeting as edit_meeting,
)
from client.api.video_chat_session_controller import (
    video_chat_session_controller_end_session as end_session,
)
from client.api.video_chat_session_controller import (
    video_chat_session_controller_get_attendees_list as get_attendees_list,
)
from client.api.video_chat_session_controller import (
    video_chat_session_controller_get_meeting as get_meeting,
)
from client.api.video_chat_session_controller import (
    video_chat_session_controller_get_meeting_link as get_meeting_link,
)
from client.api.video_chat_session_controller import (
    video_chat_session_controller_get_meeting_token as get_meeting_token,
)
from client.models import (
    Archive,
    ArchiveDownload,
    MeetingToken,
    NewArchive,
    NewMeeting,
    Problem,
    TokenWish,
    TokenWishRole,
    VideoChatSessionControllerEditMeetingBody,
    VideoChatSessionPartial,
)

api = AuthenticatedClient(base_url=os.environ["VIDEOCONF_URL"], token=os.environ["TOKEN"])


def act(name: str, **body: str) -> str:
    request = urllib.request.Request(f"{os.environ['FAKE_URL']}/fake/{name}", json.dumps(body).encode())
    with urllib.request.urlopen(request, timeout=10) as answer:
        return str(json.load(answer).get("connection"))


link = get_meeting_link.sync(client=api, body=NewMeeting(ext_id="lesson-7"))
assert isinstance(link, str)

whole = get_meeting_link.sync(client=api, prefer="return=representation")
assert isinstance(whole, VideoChatSessionPartial)
assert whole.status.value == "open"

issued = get_meeting_token.sync(
    link, client=api, body=TokenWish(role=TokenWishRole.MODERATOR, attendee="u-7", name="Ada")
)
assert isinstance(issued, MeetingToken)
assert issued.token is not None
connection = act("join", token=issued.token)

attendees = get_attendees_list.sync(link, client=api, active=True)
assert isinstance(attendees, list)
assert [(one.name, one.connections[0].id) for one in attendees] == [("Ada", connection)]

archive = start_archive.sync(link, client=api, body=NewArchive(name="Visit 7"))
assert isinstance(archive, Archive)
stop_archive.sync(archive.id, client=api)
for _ in range(100):
    read = get_archive.sync(archive.id, client=api)
    assert isinstance(read, Archive)
    if read.status.value == "available":
        break
    time.sleep(0.2)
download = download_archive.sync(archive.id, client=api)
assert isinstance(download, ArchiveDownload)
with urllib.request.urlopen(download.url, timeout=10) as media:
    assert media.status == 200

edited = edit_meeting.sync_detailed(link, client=api, body=VideoChatSessionControllerEditMeetingBody(ext_id="lesson-8"))
assert edited.status_code == 204

early = get_meeting_link.sync(
    client=api, body=NewMeeting(is_scheduled=True, schedule_time=datetime(2100, 1, 31, 9, 30, tzinfo=UTC))
)
assert isinstance(early, str)
closed = get_meeting_token.sync(early, client=api)
assert isinstance(closed, Problem)
assert closed.code == "meeting_not_open"
assert isinstance(closed.opens_on, datetime)

assert end_session.sync_detailed(link, client=api).status_code == 204
twice = end_session.sync(link, client=api)
assert isinstance(twice, Problem)
assert twice.code == "meeting_ended"
meeting = get_meeting.sync(link, client=api)
assert isinstance(meeting, VideoChatSessionPartial)
print(json.dumps({"status": meeting.status.value, "extId": meeting.ext_id}))
