"""The REST API over the world: exact paths, methods, statuses and bodies."""

from __future__ import annotations

import ipaddress
import json
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qs

from tools.vonage_standin.answers import Answer, as_json, gateway_error, video_error
from tools.vonage_standin.archives import LAYOUTS, RESOLUTIONS, Archives
from tools.vonage_standin.auth import Credentials, Unauthorized
from tools.vonage_standin.storage import NotAccepted, read_target
from tools.vonage_standin.switches import Switches
from tools.vonage_standin.world import Refused, Session, World

ARCHIVES_PER_PAGE = 50
MOST_ARCHIVES_PER_PAGE = 1000


@dataclass(frozen=True)
class Request:
    """A request that came in whole."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes

    @property
    def wants_json(self) -> bool:
        """Check whether JSON is asked for by name; ``*/*`` gets XML (recorded traffic of the Ruby SDK)."""
        return "application/json" in self.headers.get("accept", "")

    @property
    def content_type(self) -> str:
        """Give the media type of the body without its parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


Handler = Callable[..., Answer]
ACCOUNT, SESSION, ID = r"(?P<account>[^/]+)", r"(?P<session_id>[^/]+)", r"[^/]+"


class Api:
    """Answers requests of servers. Not thread-safe: the server holds one lock around it."""

    def __init__(self, world: World, archives: Archives, credentials: Credentials, switches: Switches) -> None:
        self.world = world
        self.archives = archives
        self.credentials = credentials
        self.switches = switches
        project = f"/v2/project/{ACCOUNT}"
        archive = rf"{project}/archive/(?P<archive_id>{ID})"
        session = f"{project}/session/{SESSION}"
        # Paths: opentok-python 3.15 source; storage: tokbox REST reference; list of connections: Java SDK source.
        routes: list[tuple[str, str, Handler]] = [
            ("POST", "/session/create", self._create_session),
            ("PUT", f"{project}/archive/storage", self._set_storage),
            ("GET", f"{project}/archive/storage", self._get_storage),
            ("DELETE", f"{project}/archive/storage", self._clear_storage),
            ("POST", f"{project}/archive", self._start_archive),
            ("GET", f"{project}/archive", self._list_archives),
            ("GET", archive, self._get_archive),
            ("DELETE", archive, self._delete_archive),
            ("POST", f"{archive}/stop", self._stop_archive),
            ("PUT", f"{archive}/layout", self._lay_out_archive),
            ("PATCH", f"{archive}/streams", self._select_streams),
            ("GET", f"{session}/connection", self._list_connections),
            ("DELETE", rf"{session}/connection/(?P<connection_id>{ID})", self._disconnect),
            ("GET", f"{session}/stream", self._list_streams),
            ("PUT", f"{session}/stream", self._lay_out_streams),
            ("GET", rf"{session}/stream/(?P<stream_id>{ID})", self._get_stream),
            ("POST", rf"{session}/stream/(?P<stream_id>{ID})/mute", self._mute_stream),
            ("POST", f"{session}/mute", self._mute_session),
            ("POST", f"{session}/signal", self._signal),
            ("POST", rf"{session}/connection/(?P<connection_id>{ID})/signal", self._signal),
        ]
        self._routes = [(method, re.compile(pattern), handler) for method, pattern, handler in routes]
        self.signals: list[dict[str, Any]] = []
        """What was signalled, with its session and the connection it was for."""

    def answer(self, request: Request) -> Answer:
        """Answer one request, whatever it is."""
        found: list[str] = []
        for method, pattern, handler in self._routes:
            match = pattern.fullmatch(request.path)
            if match is None:
                continue
            found.append(method)
            if method == request.method:
                return self._handle(request, handler, match.groupdict())
        if found:
            return video_error(405, "Method not allowed", wants_json=request.wants_json)
        return video_error(404, "Not found", wants_json=request.wants_json)

    def _handle(self, request: Request, handler: Handler, named: dict[str, str]) -> Answer:
        try:
            self.credentials.check_request(request.headers, named.pop("account", None))
            if "session_id" in named:
                named["session"] = self.world.get_session(named.pop("session_id"))
            return handler(request, **named)
        except Unauthorized as error:
            if self.world.environment == "unified":
                return gateway_error(error.status, error.message, str(uuid.uuid4()))
            return video_error(error.status, error.message, wants_json=request.wants_json)
        except Refused as error:
            return video_error(error.status, error.message, error.code, wants_json=request.wants_json)

    # --- sessions ---------------------------------------------------------------------------------------------------

    def _create_session(self, request: Request) -> Answer:
        """Make a session of a form (opentok-python 3.15 source, tokbox REST reference)."""
        form = {name: values[-1] for name, values in parse_qs(request.body.decode("utf-8", "replace")).items()}
        try:
            self._check_session(form)
        except Refused as error:
            if self.switches.session_create_error_body == "empty":
                return Answer(error.status)
            raise
        session = self.world.create_session(
            location=form.get("location", ""),
            routed=form.get("p2p.preference") == "disabled",
            always_archived=form.get("archiveMode") == "always",
            archive_name=form.get("archiveName"),
            archive_resolution=form.get("archiveResolution"),
            end_to_end_encrypted=form.get("e2ee") == "true",
        )
        created = formatdate(self.world.clock.now())
        account = self.world.account
        if not request.wants_json:
            # Recorded traffic of the Ruby SDK.
            fields = f"<session_id>{session.session_id}</session_id><partner_id>{account}</partner_id>"
            text = f"<sessions><Session>{fields}<create_dt>{created}</create_dt></Session></sessions>"
            return Answer(200, text.encode(), "text/xml")
        # Recorded data of the Python SDK; of all this, SDKs read the id alone.
        names = (
            "session_status status_invalid media_server_hostname messaging_server_url messaging_url symphony_address"
            " properties ice_server ice_servers"
        )
        body: dict[str, Any] = dict.fromkeys(names.split())
        body |= {"session_id": session.session_id, "project_id": account, "partner_id": account, "create_dt": created}
        return as_json([{**body, "session_segment_id": str(uuid.uuid4()), "ice_credential_expiration": 86100}])

    def _check_session(self, form: dict[str, str]) -> None:
        """Refuse what opentok-python 3.15 and the PHP SDK refuse before they send it."""
        routed = form.get("p2p.preference", "enabled") == "disabled"
        always = form.get("archiveMode", "manual") == "always"
        encrypted = form.get("e2ee", "false") == "true"
        allowed = {
            "p2p.preference": ("enabled", "disabled"),
            "archiveMode": ("manual", "always"),
            "archiveResolution": RESOLUTIONS,
            "e2ee": ("true", "false"),
        }
        for name, values in allowed.items():
            if name in form and form[name] not in values:
                raise Refused(400, f"Invalid {name}")
        if always and not routed:
            raise Refused(400, "Only routed sessions are archived")
        if not always and ("archiveName" in form or "archiveResolution" in form):
            raise Refused(400, "archiveName and archiveResolution go with archiveMode always")
        if not 1 <= len(form.get("archiveName", "-")) <= 80:
            raise Refused(400, "Invalid archiveName")
        if encrypted and (always or not routed):
            raise Refused(400, "End-to-end encryption goes with routed sessions that are not archived")
        try:
            ipaddress.IPv4Address(form.get("location", "127.0.0.1"))
        except ValueError:
            raise Refused(400, "Invalid location") from None

    # --- people -----------------------------------------------------------------------------------------------------

    def _list_connections(self, request: Request, session: Session) -> Answer:
        """List who is connected (Java, .NET and PHP SDKs)."""
        items = [
            {"connectionId": one.connection_id, "connectionState": one.state, "createdAt": one.created_ms}
            for one in session.connections.values()
        ]
        account = "applicationId" if self.world.environment == "unified" else "projectId"
        body = {"count": len(items), account: self.world.account, "sessionId": session.session_id, "items": items}
        return as_json(body)

    def _disconnect(self, request: Request, session: Session, connection_id: str) -> Answer:
        if connection_id not in session.connections:
            raise Refused(404, "Connection not found")
        self.world.disconnect(session.connections[connection_id], "forceDisconnected")
        return Answer(204)

    def _list_streams(self, request: Request, session: Session) -> Answer:
        items = [_stream_item(one) for one in session.streams.values()]
        return as_json({"count": len(items), "items": items})

    def _get_stream(self, request: Request, session: Session, stream_id: str) -> Answer:
        return as_json(_stream_item(self.world.get_stream(session, stream_id)))

    def _lay_out_streams(self, request: Request, session: Session) -> Answer:
        items = self._json(request).get("items")
        if not isinstance(items, list):
            raise Refused(400, "items is not a list")
        for item in items:
            classes = item.get("layoutClassList") if isinstance(item, dict) else None
            if not isinstance(classes, list):
                raise Refused(400, "layoutClassList is not a list")
            self.world.get_stream(session, str(item.get("id"))).layout_classes = classes
        return self._list_streams(request, session)

    def _mute_stream(self, request: Request, session: Session, stream_id: str) -> Answer:
        """Mute one stream, whatever the body (opentok-python 3.15 source: mute_stream sends none, and its errors)."""
        if not re.fullmatch(r"[0-9A-Fa-f-]{36}", stream_id):
            raise Refused(400, "Invalid stream ID")
        if stream_id not in session.streams:
            raise Refused(self.switches.mute_of_gone_stream_status, "Stream not found")
        session.streams[stream_id].muted = True
        return self._project()

    def _mute_session(self, request: Request, session: Session) -> Answer:
        body = self._json(request)
        active = body.get("active", True)
        excluded = body.get("excludedStreamIds") or []
        if self.switches.mute_accepts == "both":
            excluded = excluded or body.get("excludedStreams") or []
        if not isinstance(active, bool) or not isinstance(excluded, list):
            raise Refused(400, "Invalid body")
        self.world.mute_session(session, active=active, excluded=[str(one) for one in excluded])
        return self._project()

    def _project(self) -> Answer:
        """Details of the project, which both mutes answer with (Vonage API reference: moderation)."""
        account = self.world.account
        if self.world.environment == "unified":
            body = {"applicationId": account, "status": "ACTIVE", "name": "stand-in"}
        else:
            body = {"id": account, "status": "ACTIVE", "name": "stand-in", "environment": "standard"}
        return as_json({**body, "createdAt": 1400000000000})

    def _signal(self, request: Request, session: Session, connection_id: str | None = None) -> Answer:
        """Limits: tokbox REST reference."""
        body = self._json(request)
        kind, data = str(body.get("type") or ""), str(body.get("data") or "")
        if "data" not in body or len(kind.encode()) > 128:
            raise Refused(400, "Invalid signal", 15202)
        if len(data.encode()) > 8192:
            raise Refused(413, "The data is longer than 8 kB")
        if connection_id is not None and connection_id not in session.connections:
            raise Refused(404, "Connection not found")
        to = {"sessionId": session.session_id, "connectionId": connection_id}
        self.signals.append({"type": kind, "data": data, **to})
        return Answer(204)

    # --- archives ---------------------------------------------------------------------------------------------------

    def _start_archive(self, request: Request) -> Answer:
        wanted = self._json(request)
        self._check_start(wanted)
        session = self.world.get_session(wanted["sessionId"])
        return as_json(self.archives.body(self.archives.start(session, wanted), reading=False))

    def _check_start(self, wanted: dict[str, Any]) -> None:
        """Refuse what the Vonage API reference tells to be refused; null is the same as nothing."""
        if not isinstance(wanted.get("sessionId"), str) or not wanted["sessionId"]:
            raise Refused(400, "Invalid sessionId")
        for name in ("hasAudio", "hasVideo"):
            if not isinstance(wanted.get(name), bool | None):
                raise Refused(400, f"Invalid {name}")
        if wanted.get("hasAudio") is False and wanted.get("hasVideo") is False:
            raise Refused(400, "Neither audio nor video")
        choices = {
            "outputMode": ("composed", "individual"),
            "streamMode": ("auto", "manual"),
            "resolution": RESOLUTIONS,
        }
        for name, values in choices.items():
            if wanted.get(name) is not None and wanted[name] not in values:
                raise Refused(400, f"Invalid {name}")
        if wanted.get("resolution") is not None and wanted.get("outputMode") == "individual":
            raise Refused(400, "resolution goes with outputMode composed")
        for name, least, most in (("maxBitrate", 100_000, 6_000_000), ("quantizationParameter", 15, 40)):
            value = wanted.get(name)
            if value is not None and (type(value) is not int or not least <= value <= most):
                raise Refused(400, f"Invalid {name}")
        if wanted.get("layout") is not None:
            _check_layout(wanted["layout"])

    def _get_archive(self, request: Request, archive_id: str) -> Answer:
        return as_json(self.archives.body(self.archives.get(_uuid(archive_id))))

    def _stop_archive(self, request: Request, archive_id: str) -> Answer:
        archive = self.archives.stop(self.archives.get(_uuid(archive_id)))
        return as_json(self.archives.body(archive))

    def _delete_archive(self, request: Request, archive_id: str) -> Answer:
        self.archives.delete(self.archives.get(_uuid(archive_id)))
        return Answer(204)

    def _lay_out_archive(self, request: Request, archive_id: str) -> Answer:
        archive = self.archives.get(_uuid(archive_id))
        _check_layout(self._json(request))
        return as_json(self.archives.body(archive))

    def _select_streams(self, request: Request, archive_id: str) -> Answer:
        self.archives.select(self.archives.get(_uuid(archive_id)), self._json(request))
        return Answer(204)

    def _list_archives(self, request: Request) -> Answer:
        """List a page, newest first (Vonage API reference, tokbox REST reference)."""
        query = {name: values[-1] for name, values in parse_qs(request.query).items()}
        offset = _number(query, "offset", 0)
        count = _number(query, "count", ARCHIVES_PER_PAGE)
        if count > MOST_ARCHIVES_PER_PAGE:
            if self.switches.list_count_over_1000 == "refuse":
                raise Refused(400, "count is over 1000")
            count = MOST_ARCHIVES_PER_PAGE
        found = self.archives.newest_first(query.get("sessionId"))
        page = found[offset : offset + count]
        total = len(found) if self.switches.list_count_is == "total" else len(page)
        return as_json({"count": total, "items": [self.archives.body(one) for one in page]})

    # --- storage ----------------------------------------------------------------------------------------------------

    def _set_storage(self, request: Request, **_: str) -> Answer:
        self._need_storage_endpoint()
        try:
            target = read_target(
                request.body,
                any_case=self.switches.storage_type_any_case,
                default_fallback=self.switches.storage_default_fallback,
            )
        except NotAccepted as error:
            raise Refused(400, str(error)) from None
        if self.switches.storage_put_probes_target and self.archives.upload is not None:
            try:
                self.archives.upload(target, "probe", b"")
            except Exception:
                raise Refused(400, "The target cannot be reached") from None
        self.archives.target = target
        return as_json(target.body)

    def _get_storage(self, request: Request) -> Answer:
        self._need_storage_endpoint()
        status = self.switches.storage_get_status
        if status == 405:
            raise Refused(405, "Method not allowed")
        if status == 404 or self.archives.target is None:
            raise Refused(404, "Not found")
        return as_json(self.archives.target.body)

    def _clear_storage(self, request: Request) -> Answer:
        self._need_storage_endpoint()
        if self.archives.target is None:
            raise Refused(404, "Not found")
        self.archives.target = None
        return Answer(204)

    def _need_storage_endpoint(self) -> None:
        if self.world.environment == "unified" and not self.switches.unified_has_storage_endpoint:
            raise Refused(404, "Not found")

    # --- bodies -----------------------------------------------------------------------------------------------------

    def _json(self, request: Request) -> dict[str, Any]:
        if request.content_type != "application/json" and self.switches.wrong_content_type_status == 415:
            raise Refused(415, "Unsupported media type")
        try:
            body = json.loads(request.body)
        except ValueError:
            raise Refused(400, "Invalid JSON") from None
        if not isinstance(body, dict):
            raise Refused(400, "Invalid JSON")
        return body


def _stream_item(stream: Any) -> dict[str, Any]:
    """Fields: opentok-python 3.15 source, Stream."""
    return {
        "id": stream.stream_id,
        "videoType": stream.video_type,
        "name": stream.name,
        "layoutClassList": stream.layout_classes,
    }


def _check_layout(layout: Any) -> None:
    if not isinstance(layout, dict) or layout.get("type") not in LAYOUTS:
        raise Refused(400, "Invalid layout")
    if ("stylesheet" in layout) != (layout["type"] == "custom"):
        raise Refused(400, "A stylesheet goes with the layout custom")


def _uuid(text: str) -> str:
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise Refused(400, "Invalid archive id") from None


def _number(query: dict[str, str], name: str, default: int) -> int:
    try:
        number = int(query.get(name, default))
    except ValueError:
        number = -1
    if number < 0:
        raise Refused(400, f"Invalid {name}")
    return number
